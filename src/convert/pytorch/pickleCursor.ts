import type { CheckpointFault } from '../checkpointError.js';
import { MAX_LONG_BYTES } from '../limits.js';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Reads the operands of a pickle stream; `fault` makes the error for the opcode that is being read. */
export class PickleCursor {
  /** Offset of the next byte. */
  at = 0;
  private readonly view: DataView;

  constructor(
    private readonly bytes: Uint8Array,
    private readonly fault: (fault: CheckpointFault, what: string) => Error,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Bytes that are left. */
  get left(): number {
    return this.bytes.length - this.at;
  }

  /** Advances over `length` bytes and returns where they begin. Throws truncated, corrupt. */
  private take(length: number): number {
    if (length < 0) throw this.fault('corrupt', `a length of ${length}`);
    if (!(length <= this.left))
      throw this.fault(
        'truncated',
        `the pickle ends too early: ${length} more bytes are needed, ${this.left} are left`,
      );
    const start = this.at;
    this.at += length;
    return start;
  }

  byte(): number {
    return this.bytes[this.take(1)];
  }

  uint16(): number {
    return this.view.getUint16(this.take(2), true);
  }

  int32(): number {
    return this.view.getInt32(this.take(4), true);
  }

  uint32(): number {
    return this.view.getUint32(this.take(4), true);
  }

  /** Pickle writes floats big-endian. */
  float64(): number {
    return this.view.getFloat64(this.take(8), false);
  }

  /** A length of eight bytes; one above 2^53 is rounded, and always too long. */
  length64(): number {
    return Number(this.view.getBigUint64(this.take(8), true));
  }

  /** A window of the stream. */
  slice(length: number): Uint8Array {
    const start = this.take(length);
    return this.bytes.subarray(start, start + length);
  }

  text(length: number): string {
    const piece = this.slice(length);
    try {
      return utf8.decode(piece);
    } catch {
      throw this.fault('corrupt', 'text that is not UTF-8');
    }
  }

  /** Text up to the next line feed, which is passed over. */
  line(): string {
    const end = this.bytes.indexOf(0x0a, this.at);
    if (end < 0) throw this.fault('truncated', 'a name without its end of line');
    const line = this.text(end - this.at);
    this.at++;
    return line;
  }

  /** A whole number of any length: two's complement, little-endian. */
  long(length: number): number | bigint {
    if (length > MAX_LONG_BYTES) throw this.fault('too_large', `a whole number of ${length} bytes`);
    const digits = Buffer.from(this.slice(length)).reverse().toString('hex');
    const value = BigInt.asIntN(8 * length, BigInt(`0x0${digits}`));
    const small = Number(value);
    return Number.isSafeInteger(small) ? small : value;
  }
}
