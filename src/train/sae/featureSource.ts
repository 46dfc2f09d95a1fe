/** What features are: where they come from. */
export interface FeatureInfo {
  readonly channels: number;
  readonly tap: string;
  /** Architecture and weights hash of the network that made them; null where unknown. */
  readonly arch: string | null;
  readonly modelHash: string | null;
}

/** Feature vectors of a tap, by row: what an autoencoder is trained on. */
export interface FeatureSource extends FeatureInfo {
  readonly rows: number;
  /** Hash of the values: a resumed run must read the same. */
  readonly fingerprint: string;
  /** Values of the given rows, row-major [n, channels], a fresh array. */
  gather(rows: ArrayLike<number>): Promise<Float32Array>;
  close(): Promise<void>;
}

/** Where collected features go. */
export interface FeatureSink {
  /** Adds rows, row-major [n, channels]; the array is not kept. */
  append(values: Float32Array): Promise<void>;
  /** Ends the collection. Caller closes the source. */
  finish(): Promise<FeatureSource>;
}
