/** What features are: where they come from. */
export interface FeatureInfo {
  readonly channels: number;
  readonly tap: string;
  /** Architecture and weights hash of the network that made them; null where unknown. */
  readonly arch: string | null;
  readonly modelHash: string | null;
}

/** Which pass over the rows, in which order and batches. */
export interface PassOrder {
  readonly seed: number;
  /** 0 measures the norm factor, e is epoch e, from 1. */
  readonly pass: number;
  /** Rows per batch; the last one of a pass may be shorter. */
  readonly batchRows: number;
  /** First batch that is wanted; what lies before is not read. Default: 0. */
  readonly start?: number;
}

/** Feature vectors of a tap, in shuffled passes: what an autoencoder is trained on. */
export interface FeatureSource extends FeatureInfo {
  readonly rows: number;
  /** Hash of the values: a resumed run must read the same. */
  readonly fingerprint: string;
  /**
   * One pass: every row once, in the order of (seed, pass). Values are row-major [n, channels], a fresh array each.
   */
  batches(order: PassOrder): AsyncIterable<Float32Array>;
  close(): Promise<void>;
}

/** Where collected features go. */
export interface FeatureSink {
  /** Adds rows, row-major [n, channels]; the array is not kept. */
  append(values: Float32Array): Promise<void>;
  /** Ends the collection. Caller closes the source. */
  finish(): Promise<FeatureSource>;
}
