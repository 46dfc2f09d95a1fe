import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';

/** CRC-32C (Castagnoli), as TFRecord files use it. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}

function maskedCrc(bytes: Uint8Array): Buffer {
  const crc = crc32c(bytes);
  const result = Buffer.alloc(4);
  result.writeUInt32LE((((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0);
  return result;
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  bytes.push(rest);
  return Buffer.from(bytes);
}

/** Protobuf fields: wire type 0 (whole number), 1 (double), 2 (bytes), 5 (float). */
const whole = (field: number, value: number): Buffer => Buffer.concat([varint(field * 8), varint(value)]);
const bytes = (field: number, value: Buffer): Buffer =>
  Buffer.concat([varint(field * 8 + 2), varint(value.length), value]);
function double(field: number, value: number): Buffer {
  const result = Buffer.alloc(9, field * 8 + 1);
  result.writeDoubleLE(value, 1);
  return result;
}
function float(field: number, value: number): Buffer {
  const result = Buffer.alloc(5, field * 8 + 5);
  result.writeFloatLE(value, 1);
  return result;
}

/**
 * Writes scalars as TensorBoard reads them: TFRecord frames (length, masked CRC, data, masked CRC) of `Event` messages
 * (wall_time = 1, step = 2, file_version = 3, summary = 5 { value = 1 { tag = 1, simple_value = 2 } }).
 */
export class EventWriter {
  private readonly file: number;

  /** Opens a new event file in the folder. Throws the system's error. */
  constructor(folder: string) {
    mkdirSync(folder, { recursive: true });
    const stamp = `${Math.floor(Date.now() / 1000)}.${hostname()}.${process.pid}`;
    this.file = openSync(join(folder, `events.out.tfevents.${stamp}`), 'a');
    this.record(Buffer.concat([double(1, Date.now() / 1000), bytes(3, Buffer.from('brain.Event:2'))]));
  }

  scalar(tag: string, value: number, step: number): void {
    const summary = bytes(1, Buffer.concat([bytes(1, Buffer.from(tag)), float(2, value)]));
    this.record(Buffer.concat([double(1, Date.now() / 1000), whole(2, step), bytes(5, summary)]));
  }

  close(): void {
    closeSync(this.file);
  }

  private record(data: Buffer): void {
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(data.length));
    writeSync(this.file, Buffer.concat([length, maskedCrc(length), data, maskedCrc(data)]));
  }
}
