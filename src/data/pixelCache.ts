import type { DecodedImage } from './decode.js';

/** Shared memory of a cache: plain data that every worker thread can be handed. */
export interface PixelMemory {
  readonly pixels: SharedArrayBuffer;
  /** [1 + pictures, 3] int32: first row: bytes used; then offset + 1 (0 = not held), width, height of each picture. */
  readonly entries: SharedArrayBuffer;
}

const FIELDS = 3;

/** Memory for `bytes` of pixels (below 2 GiB) of `pictures` pictures; the system commits it as it is filled. */
export function createPixelMemory(pictures: number, bytes: number): PixelMemory {
  return {
    pixels: new SharedArrayBuffer(bytes),
    entries: new SharedArrayBuffer((1 + pictures) * FIELDS * Int32Array.BYTES_PER_ELEMENT),
  };
}

/**
 * Decoded pictures of a small data set, kept for the next epochs and shared by all threads. It only ever fills: what
 * does not fit is decoded each time. A picture counts as held once its offset is stored, after its pixels.
 */
export class PixelCache {
  private readonly pixels: Uint8Array;
  private readonly entries: Int32Array;

  constructor(memory: PixelMemory) {
    this.pixels = new Uint8Array(memory.pixels);
    this.entries = new Int32Array(memory.entries);
  }

  /** The picture, as a view of the cache that must not be written to; null where it is not held. */
  get(sample: number): DecodedImage | null {
    const row = (1 + sample) * FIELDS;
    const offset = Atomics.load(this.entries, row) - 1;
    if (offset < 0) return null;
    const [width, height] = [this.entries[row + 1], this.entries[row + 2]];
    return { width, height, data: this.pixels.subarray(offset, offset + width * height * 3) };
  }

  /** Keeps a copy of a picture if there is room. */
  put(sample: number, image: DecodedImage): void {
    const row = (1 + sample) * FIELDS;
    const bytes = image.width * image.height * 3;
    if (bytes > this.pixels.length - Atomics.load(this.entries, 0)) return;
    const offset = Atomics.add(this.entries, 0, bytes);
    if (offset + bytes > this.pixels.length) {
      Atomics.sub(this.entries, 0, bytes);
      return;
    }
    this.pixels.set(image.data, offset);
    this.entries[row + 1] = image.width;
    this.entries[row + 2] = image.height;
    Atomics.store(this.entries, row, offset + 1);
  }
}
