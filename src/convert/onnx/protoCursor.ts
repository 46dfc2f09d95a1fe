import type { ByteSource } from '../byteSource.js';
import type { CheckpointErrors } from '../checkpointError.js';

/** Bytes fetched at once. */
const WINDOW = 2 ** 16;

/** How a protobuf field is written: https://protobuf.dev/programming-guides/encoding/. */
export const WIRE = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/** Reads protobuf fields of a file by ranges; large contents are passed over, not read. */
export class ProtoCursor {
  /** Offset of the next byte in the file. */
  at = 0;
  private window: Uint8Array = new Uint8Array(0);
  private windowAt = 0;

  constructor(
    private readonly source: ByteSource,
    private readonly errors: CheckpointErrors,
  ) {}

  private fault(what: string): Error {
    return this.errors.fault('corrupt', `byte ${this.at}`, what);
  }

  private byte(end: number): number {
    if (this.at >= end)
      throw this.errors.fault('truncated', `byte ${this.at}`, 'a field ends before it should');
    let index = this.at - this.windowAt;
    if (index < 0 || index >= this.window.length) {
      this.window = this.source.read(this.at, Math.min(WINDOW, this.source.size - this.at));
      this.windowAt = this.at;
      index = 0;
    }
    this.at++;
    return this.window[index];
  }

  /** A varint below 2^53; longer ones only where nothing depends on their value (`skipField`). Throws corrupt, truncated. */
  varint(end: number): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 10; i++) {
      const byte = this.byte(end);
      value += (byte & 0x7f) * scale;
      scale *= 128;
      if (byte < 0x80) {
        if (i === 9 && byte > 1) throw this.fault('a number of more than 64 bits');
        return value;
      }
    }
    throw this.fault('a number of more than ten bytes');
  }

  /** Number and wire type of the next field. Throws corrupt for groups, which ONNX has none of, and unknown wire types. */
  tag(end: number): { field: number; wire: number } {
    const tag = this.varint(end);
    const wire = tag % 8;
    const field = Math.floor(tag / 8);
    if (field === 0 || field >= 2 ** 29) throw this.fault(`a field with the number ${field}`);
    if (wire === 3 || wire === 4) throw this.fault('a group, which ONNX does not have');
    if (wire > 5) throw this.fault(`a field of the unknown wire type ${wire}`);
    return { field, wire };
  }

  /** Length of a field's content, checked to lie within `end`. */
  length(end: number): number {
    const length = this.varint(end);
    if (!(length <= end - this.at))
      throw this.errors.fault(
        'truncated',
        `byte ${this.at}`,
        `a field of ${length} bytes, ${end - this.at} are left`,
      );
    return length;
  }

  /** Passes over the content of a field. */
  skip(wire: number, end: number): void {
    if (wire === WIRE.varint) this.varint(end);
    else {
      const length = wire === WIRE.bytes ? this.length(end) : wire === WIRE.fixed64 ? 8 : 4;
      if (this.at + length > end)
        throw this.errors.fault('truncated', `byte ${this.at}`, 'a field ends before it should');
      this.at += length;
    }
  }

  /** Bytes of the file between two offsets. */
  slice(start: number, end: number): Uint8Array {
    const from = start - this.windowAt;
    if (from >= 0 && end - this.windowAt <= this.window.length)
      return this.window.subarray(from, from + end - start);
    return this.source.read(start, end - start);
  }
}
