/**
 * Class token and learned position embedding of DINOv2 (Oquab et al. 2023) for any grid of patches: the embedding of
 * the M x M grid it was trained on is resampled bicubically, with the offset of 0.1 that the published code adds to
 * the size of the grid when it forms the scale: source = (place + 1/2) M / (size + 0.1) - 1/2, A = -3/4, edges repeat.
 */
import * as tf from '@tensorflow/tfjs';
import { channelsOf, singleInput, singleShape, wholeNumber } from './checks.js';
import { RandomInitial } from './initialWeights.js';

const SIZE_OFFSET = 0.1;
const CUBIC_A = -0.75;

export interface TokenEmbeddingConfig {
  name?: string;
  trainable?: boolean;
  /** Places along a side of the grid whose embedding is stored. */
  grid: number;
  /** Of the initial weights, default 0. */
  seed?: number;
}

/** Weights of the four neighbours at distances 1+t, t, 1-t, 2-t. */
function cubic(t: number): number[] {
  const near = (x: number): number => ((CUBIC_A + 2) * x - (CUBIC_A + 3)) * x * x + 1;
  const far = (x: number): number => CUBIC_A * (((x - 5) * x + 8) * x - 4);
  return [far(1 + t), near(t), near(1 - t), far(2 - t)];
}

/** Row-major [size, grid]: each row the weights by which a place reads the stored grid. */
export function resampling(size: number, grid: number): Float32Array {
  const weights = new Float32Array(size * grid);
  for (let i = 0; i < size; i++) {
    const source = ((i + 0.5) * grid) / (size + SIZE_OFFSET) - 0.5;
    const first = Math.floor(source);
    cubic(source - first).forEach((weight, k) => {
      const at = Math.min(grid - 1, Math.max(0, first - 1 + k));
      weights[i * grid + at] += weight;
    });
  }
  return weights;
}

/**
 * See the top of the file. [N,h,w,D] -> [N,1+h*w,D], the class token first; weights `cls_token` [1,1,D], `pos_embed`
 * [1,1+grid^2,D] and `mask_token` [1,D], which only pre-training used. Their names have no module path.
 */
export class TokenEmbedding extends tf.layers.Layer {
  static readonly className = 'TokenEmbedding';
  readonly statePath = '';
  readonly grid: number;
  readonly seed: number;
  private token: tf.LayerVariable | null = null;
  private positions: tf.LayerVariable | null = null;

  constructor(config: TokenEmbeddingConfig) {
    super(config as unknown as ConstructorParameters<typeof tf.layers.Layer>[0]);
    this.grid = wholeNumber(this.name, 'grid', config.grid, 1);
    this.seed = wholeNumber(this.name, 'seed', config.seed ?? 0, 0);
  }

  override build(inputShape: tf.Shape | tf.Shape[]): void {
    const width = channelsOf(this, inputShape, 4);
    const normal = (size: number, stream: string): RandomInitial =>
      new RandomInitial({ kind: 'normal', size, seed: this.seed, stream });
    this.token = this.addWeight('cls_token', [1, 1, width], 'float32', normal(1e-6, 'cls_token'));
    const places = 1 + this.grid ** 2;
    this.positions = this.addWeight('pos_embed', [1, places, width], 'float32', normal(0.02, 'pos_embed'));
    this.addWeight('mask_token', [1, width], 'float32', tf.initializers.zeros());
    super.build(inputShape);
  }

  /** The embedding of a grid [1, 1 + h*w, D]. */
  private positionsOf(h: number, w: number): tf.Tensor {
    const stored = this.positions?.read() as tf.Tensor3D;
    if (h === this.grid && w === this.grid) return stored;
    const [, , d] = stored.shape;
    const m = this.grid;
    const ofToken = tf.slice(stored, [0, 0, 0], [1, 1, d]);
    const ofGrid = tf.reshape(tf.slice(stored, [0, 1, 0], [1, m * m, d]), [m, m * d]);
    const rows = tf.matMul(tf.tensor2d(resampling(h, m), [h, m]), ofGrid as tf.Tensor2D);
    const columns = tf.tile(tf.tensor3d(resampling(w, m), [1, w, m]), [h, 1, 1]);
    const grid = tf.matMul(columns, tf.reshape(rows, [h, m, d]));
    return tf.concat([ofToken, tf.reshape(grid, [1, h * w, d])], 1);
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => {
      const x = singleInput(inputs);
      const [n, h, w, d] = x.shape;
      const token = tf.tile(this.token?.read() as tf.Tensor, [n, 1, 1]);
      const tokens = tf.concat([token, tf.reshape(x, [n, h * w, d])], 1);
      return tf.add(tokens, this.positionsOf(h, w));
    });
  }

  override computeOutputShape(inputShape: tf.Shape | tf.Shape[]): tf.Shape {
    const [n, h, w, d] = singleShape(inputShape);
    return [n, h === null || w === null ? null : 1 + h * w, d];
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), grid: this.grid, seed: this.seed };
  }
}
tf.serialization.registerClass(TokenEmbedding);
