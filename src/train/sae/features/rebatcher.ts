/** Rows in an order of their own: values row-major [n, channels], `order` says which row comes when. */
export interface ShuffledRows {
  readonly values: Float32Array;
  readonly order: Uint32Array;
}

/** Cuts a stream of blocks into batches of equal size; rows that do not fill one wait for the next block. */
export class Rebatcher {
  private batch: Float32Array;
  private used = 0;

  /** @param skip rows of the stream that are passed over first */
  constructor(
    private readonly channels: number,
    private readonly batchRows: number,
    private skip = 0,
  ) {
    this.batch = new Float32Array(batchRows * channels);
  }

  /** The batches that a further block fills, each a fresh array. */
  *add({ values, order }: ShuffledRows): Generator<Float32Array, void, undefined> {
    const { channels } = this;
    const from = Math.min(this.skip, order.length);
    this.skip -= from;
    for (let i = from; i < order.length; i++) {
      const row = order[i] * channels;
      this.batch.set(values.subarray(row, row + channels), this.used);
      this.used += channels;
      if (this.used === this.batch.length) {
        const full = this.batch;
        this.batch = new Float32Array(this.batchRows * channels);
        this.used = 0;
        yield full;
      }
    }
  }

  /** The rows left over at the end of the stream, a shorter batch; null where there are none. */
  rest(): Float32Array | null {
    return this.used === 0 ? null : this.batch.slice(0, this.used);
  }
}
