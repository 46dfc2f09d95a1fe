import { crc32 } from 'node:zlib';

/** Bytes of a file that share a checksum. */
export const BLOCK_BYTES = 2 ** 22;

/** CRC-32 of each block of a file, from its bytes in order: they say where a file differs, which its hash cannot. */
export class BlockSums {
  private readonly sums: number[] = [];
  private current = 0;
  private filled = 0;

  add(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const part = bytes.subarray(at, at + BLOCK_BYTES - this.filled);
      this.current = crc32(part, this.current);
      this.filled += part.length;
      at += part.length;
      if (this.filled === BLOCK_BYTES) this.next();
    }
  }

  private next(): void {
    this.sums.push(this.current);
    this.current = 0;
    this.filled = 0;
  }

  /** Eight hexadecimal digits a block, one behind the other. Ends the count. */
  finish(): string {
    if (this.filled > 0) this.next();
    return this.sums.map((sum) => sum.toString(16).padStart(8, '0')).join('');
  }
}

/** First byte of the first block in which two files differ; null: in none. */
export function firstDifferentBlock(found: string, wanted: string): number | null {
  for (let at = 0; at < Math.max(found.length, wanted.length); at += 8)
    if (found.slice(at, at + 8) !== wanted.slice(at, at + 8)) return (at / 8) * BLOCK_BYTES;
  return null;
}
