/** Feature vectors of a tap, by row: what an autoencoder is trained on. */
export interface FeatureSource {
  readonly rows: number;
  readonly channels: number;
  readonly tap: string;
  /** Architecture and weights hash of the network that made them; null where unknown. */
  readonly arch: string | null;
  readonly modelHash: string | null;
  /** SHA-256 over the feature values' description: a resumed run must read the same. */
  readonly fingerprint: string;
  /** Values of the given rows, row-major [n, channels], a fresh array. */
  gather(rows: ArrayLike<number>): Promise<Float32Array>;
  close(): Promise<void>;
}
