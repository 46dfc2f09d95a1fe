import type { NumericDType, Values } from './graph.js';

const BYTES = { float32: 4, int32: 4, bool: 1 } as const;
/** Freed buffers are kept up to this many bytes in all; beyond it they are left to the garbage collector. */
const DEFAULT_LIMIT_BYTES = 512 * 1024 * 1024;

/**
 * Recycles the memory of results. A buffer returns to the pool only while nobody outside can hold it: one whose
 * values were read, or that another tensor views, has escaped and is left to the garbage collector.
 */
export class BufferPool {
  private readonly free = new Map<number, ArrayBuffer[]>();
  private readonly owned = new WeakSet<ArrayBufferLike>();
  private freeBytes = 0;

  constructor(private readonly limitBytes: number = DEFAULT_LIMIT_BYTES) {}

  /** An array of the dtype's kind with arbitrary content, to be overwritten whole. */
  allocate(dtype: NumericDType, size: number): Values {
    const bytes = size * BYTES[dtype];
    const recycled = this.free.get(bytes)?.pop();
    if (recycled !== undefined) this.freeBytes -= bytes;
    const buffer = recycled ?? this.create(bytes);
    if (dtype === 'float32') return new Float32Array(buffer);
    return dtype === 'int32' ? new Int32Array(buffer) : new Uint8Array(buffer);
  }

  /** Marks the memory under an array as seen from outside. */
  escape(values: unknown): void {
    if (ArrayBuffer.isView(values)) this.owned.delete(values.buffer);
  }

  /** Whether the memory under an array came from here and has not escaped. */
  owns(values: unknown): boolean {
    return ArrayBuffer.isView(values) && this.owned.has(values.buffer);
  }

  /** Takes back the memory under an array that nothing uses any more; ignores what did not come from here. */
  recycle(values: unknown): void {
    if (!ArrayBuffer.isView(values) || !this.owned.has(values.buffer)) return;
    const buffer = values.buffer as ArrayBuffer;
    if (this.freeBytes + buffer.byteLength > this.limitBytes) {
      this.owned.delete(buffer);
      return;
    }
    this.freeBytes += buffer.byteLength;
    const list = this.free.get(buffer.byteLength);
    if (list === undefined) this.free.set(buffer.byteLength, [buffer]);
    else list.push(buffer);
  }

  private create(bytes: number): ArrayBuffer {
    const buffer = new ArrayBuffer(bytes);
    this.owned.add(buffer);
    return buffer;
  }
}
