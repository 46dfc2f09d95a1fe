import { FactError } from '../../../core/errors.js';
import { sha256 } from '../../../core/hash.js';
import { Random } from '../../../core/random.js';
import type { FeatureInfo, FeatureSink, FeatureSource, PassOrder } from './featureSource.js';

/** Stream of the orders, beside the seed and the number of the pass. */
const ORDER_STREAM = 0x0d3;

/** Copies rows out of a row-major array. */
export function gatherRows(values: Float32Array, channels: number, rows: ArrayLike<number>): Float32Array {
  const result = new Float32Array(rows.length * channels);
  for (let i = 0; i < rows.length; i++) {
    result.set(values.subarray(rows[i] * channels, (rows[i] + 1) * channels), i * channels);
  }
  return result;
}

/** Uniformly random order of rows, of its own for each pass. */
export function passOrder(rows: number, seed: number, pass: number): Uint32Array {
  return new Random(seed, ORDER_STREAM, pass).permutation(rows);
}

/** One pass over rows held in memory. */
async function* memoryBatches(
  values: Float32Array,
  channels: number,
  { seed, pass, batchRows, start = 0 }: PassOrder,
): AsyncGenerator<Float32Array, void, undefined> {
  const order = passOrder(values.length / channels, seed, pass);
  for (let from = start * batchRows; from < order.length; from += batchRows)
    yield gatherRows(values, channels, order.subarray(from, from + batchRows));
}

/** Features held in memory: fill it as a sink, then `finish` gives the source. */
export class MemoryFeatures implements FeatureSink {
  private values: Float32Array;
  private used = 0;

  /** @param expectedRows room that is taken at once; more rows make it grow. Throws FactError E_SAE_MEMORY. */
  constructor(
    private readonly info: FeatureInfo,
    expectedRows: number,
  ) {
    this.values = this.allocate(expectedRows * info.channels);
  }

  private allocate(size: number): Float32Array {
    try {
      return new Float32Array(size);
    } catch (error) {
      throw new FactError({
        code: 'E_SAE_MEMORY',
        message: `features at tap ${this.info.tap} need ${Math.round((size * 4) / 2 ** 20)} MiB of memory, which are not to be had`,
        remedy:
          'Keep fewer positions per image, or write them to disk with `fact sae features` and train from there.',
        cause: error,
      });
    }
  }

  async append(values: Float32Array): Promise<void> {
    if (this.used + values.length > this.values.length) {
      const larger = this.allocate(Math.max(this.used + values.length, Math.ceil(this.values.length * 1.5)));
      larger.set(this.values.subarray(0, this.used));
      this.values = larger;
    }
    this.values.set(values, this.used);
    this.used += values.length;
  }

  async finish(): Promise<FeatureSource> {
    const { channels } = this.info;
    const values = this.values.subarray(0, this.used);
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    return {
      ...this.info,
      rows: values.length / channels,
      fingerprint: sha256(bytes),
      batches: (order) => memoryBatches(values, channels, order),
      close: async () => {},
    };
  }
}
