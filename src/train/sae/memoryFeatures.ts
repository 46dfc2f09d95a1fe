import { FactError } from '../../core/errors.js';
import { sha256 } from '../../core/hash.js';
import type { FeatureInfo, FeatureSink, FeatureSource } from './featureSource.js';

/** Copies rows out of a row-major array. */
export function gatherRows(values: Float32Array, channels: number, rows: ArrayLike<number>): Float32Array {
  const result = new Float32Array(rows.length * channels);
  for (let i = 0; i < rows.length; i++) {
    result.set(values.subarray(rows[i] * channels, (rows[i] + 1) * channels), i * channels);
  }
  return result;
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
      gather: async (rows) => gatherRows(values, channels, rows),
      close: async () => {},
    };
  }
}
