/*
 * Bias-free TopK sparse autoencoder (FaCT, arXiv 2510.25512):
 *
 *   u_p = topk_k(relu(E f_p))       E: encoder.weight [K, C]
 *   f'_p = D u_p                    D: decoder.weight [C, K], unit columns after training
 *
 * No bias anywhere, so every share of what follows belongs to a concept. Encoding is positively homogeneous,
 * enc(c f) = c enc(f) for c > 0: an autoencoder trained on rescaled features is used unscaled. Both maps are piecewise
 * linear, so explanation mode and ordinary mode are the same. With a threshold (BatchTopK) encoding is not homogeneous:
 * the threshold belongs to features of one scale; what follows is exact all the same, the selection is a constant. Layout: channels last, any leading axes.
 */
import * as tf from '@tensorflow/tfjs';
import { FactError } from '../core/errors.js';
import { Random } from '../core/random.js';
import { type SparseCode, topKDense, topKSparse } from './topK.js';

/** The two weights as tensors or variables: encoder [K, C], decoder [C, K]. */
export interface SaeWeights {
  readonly encoder: tf.Tensor2D;
  readonly decoder: tf.Tensor2D;
}

/** x [..., C] times the encoder: pre-activations [..., K]. */
function preActivations(x: tf.Tensor, encoder: tf.Tensor2D): tf.Tensor {
  const [latents, channels] = encoder.shape;
  const flat = tf.reshape(x, [-1, channels]) as tf.Tensor2D;
  return tf.reshape(tf.matMul(flat, encoder, false, true), [...x.shape.slice(0, -1), latents]);
}

/** Activations u [..., K], at most k non-zero a position, of x [..., C]. Caller disposes. */
export function encode(x: tf.Tensor, encoder: tf.Tensor2D, k: number): tf.Tensor {
  return tf.tidy(() => topKDense(preActivations(x, encoder), k));
}

/**
 * Activations of x [..., C] as k pairs a position: values [..., k], indices int32 [..., k]. With a threshold those that
 * do not exceed it are 0: u_i = v_i where v_i > threshold (BatchTopK), the selection a constant as ever. Caller disposes.
 */
export function encodeSparse(x: tf.Tensor, encoder: tf.Tensor2D, k: number, threshold = 0): SparseCode {
  return tf.tidy(() => {
    const { values, indices } = topKSparse(preActivations(x, encoder), k);
    if (threshold === 0) return { values, indices };
    return { values: tf.mul(values, tf.cast(tf.greater(values, threshold), 'float32')), indices };
  });
}

/** Reconstruction [..., C] of dense activations u [..., K]. Caller disposes. */
export function decode(u: tf.Tensor, decoder: tf.Tensor2D): tf.Tensor {
  const [channels, latents] = decoder.shape;
  return tf.tidy(() => {
    const flat = tf.reshape(u, [-1, latents]) as tf.Tensor2D;
    return tf.reshape(tf.matMul(flat, decoder, false, true), [...u.shape.slice(0, -1), channels]);
  });
}

/**
 * Reconstruction [..., C] of sparse activations: reads k columns of the decoder a position in place of all K, which
 * for k << K is much faster than `decode`. `decoderRows` is the decoder transposed, [K, C]. Differentiable in the
 * values only (explanations); training uses its own step. Caller disposes.
 */
export function decodeSparse(code: SparseCode, decoderRows: tf.Tensor2D): tf.Tensor {
  return tf.tidy(() => {
    const k = code.values.shape[code.values.shape.length - 1];
    const leading = code.values.shape.slice(0, -1);
    const channels = decoderRows.shape[1];
    const positions = code.values.size / k;
    const columns = tf.gather(
      decoderRows,
      tf.reshape(code.indices, [positions * k]) as tf.Tensor1D,
    ) as tf.Tensor2D;
    const result = tf.customGrad((values, save) => {
      const rows = tf.reshape(columns, [positions, k, channels]);
      (save as tf.GradSaveFunc)([rows]);
      return {
        value: tf.matMul(tf.reshape(values as tf.Tensor, [positions, 1, k]), rows),
        gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) =>
          tf.reshape(tf.matMul(saved[0], tf.reshape(dy, [positions, channels, 1])), code.values.shape),
      };
    })(code.values);
    return tf.reshape(result, [...leading, channels]);
  });
}

/** Decoder [C, K] with random unit columns, row-major, and the encoder, its transpose [K, C]: the start of training. */
export function initialSaeWeights(
  channels: number,
  latents: number,
  seed: number,
): { encoder: Float32Array; decoder: Float32Array } {
  const random = new Random(seed, channels, latents);
  const encoder = new Float32Array(latents * channels);
  const decoder = new Float32Array(latents * channels);
  for (let j = 0; j < latents; j++) {
    const row = encoder.subarray(j * channels, (j + 1) * channels);
    let squares = 0;
    while (squares === 0) {
      squares = 0;
      for (let c = 0; c < channels; c++) {
        row[c] = random.uniform(-1, 1);
        squares += row[c] * row[c];
      }
    }
    for (let c = 0; c < channels; c++) {
      row[c] /= Math.sqrt(squares);
      decoder[c * latents + j] = row[c];
    }
  }
  return { encoder, decoder };
}

/** Throws FactError E_SAE_CONFIG unless 1 <= k <= latents and all three are whole numbers >= 1. */
export function checkSaeSize(size: { channels: number; latents: number; k: number }): void {
  for (const [name, value] of Object.entries(size)) {
    if (!Number.isInteger(value) || value < 1) {
      throw new FactError({
        code: 'E_SAE_CONFIG',
        message: `TopKSae: ${name} is ${value}, expected a whole number of at least 1`,
        remedy: `Give ${name} as a positive whole number.`,
      });
    }
  }
  if (size.k > size.latents) {
    throw new FactError({
      code: 'E_SAE_CONFIG',
      message: `TopKSae: k is ${size.k}, more than the ${size.latents} latents`,
      remedy: 'Choose k at most as large as the number of latents.',
    });
  }
}

export interface TopKSaeArgs {
  readonly name?: string;
  readonly channels: number;
  readonly latents: number;
  readonly k: number;
  /** Seed of the random start; default 0. */
  readonly seed?: number;
}

/** The autoencoder as a layer: x [..., C] -> reconstruction [..., C]. Its call needs no explanation mode of its own. */
export class TopKSae extends tf.layers.Layer {
  static className = 'TopKSae';
  readonly channels: number;
  readonly latents: number;
  readonly k: number;
  readonly seed: number;
  private encoderWeight?: ReturnType<tf.layers.Layer['addWeight']>;
  private decoderWeight?: ReturnType<tf.layers.Layer['addWeight']>;

  constructor(args: TopKSaeArgs) {
    super({ name: args.name });
    checkSaeSize({ channels: args.channels, latents: args.latents, k: args.k });
    this.channels = args.channels;
    this.latents = args.latents;
    this.k = args.k;
    this.seed = args.seed ?? 0;
  }

  override build(inputShape: tf.Shape | tf.Shape[]): void {
    const shape = (Array.isArray(inputShape[0]) ? inputShape[0] : inputShape) as tf.Shape;
    const channels = shape[shape.length - 1];
    if (channels !== this.channels) {
      throw new FactError({
        code: 'E_SAE_CONFIG',
        message: `${this.name}: input has ${channels} channels (shape [${shape}]), expected ${this.channels}`,
        remedy: 'Splice the autoencoder at the tap that it was trained for.',
      });
    }
    const zeros = tf.initializers.zeros();
    const encoder = this.addWeight('encoder.weight', [this.latents, this.channels], 'float32', zeros);
    const decoder = this.addWeight('decoder.weight', [this.channels, this.latents], 'float32', zeros);
    const start = initialSaeWeights(this.channels, this.latents, this.seed);
    tf.tidy(() => {
      encoder.write(tf.tensor2d(start.encoder, [this.latents, this.channels]));
      decoder.write(tf.tensor2d(start.decoder, [this.channels, this.latents]));
    });
    this.encoderWeight = encoder;
    this.decoderWeight = decoder;
    super.build(inputShape);
  }

  /** The weights, owned by the layer; not to be disposed. Throws before the layer is built. */
  get weightTensors(): SaeWeights {
    if (this.encoderWeight === undefined || this.decoderWeight === undefined) {
      throw new FactError({
        code: 'E_SAE_CONFIG',
        message: `${this.name}: the layer has no weights yet`,
        remedy: 'Apply the layer to an input, or build it, first.',
      });
    }
    return {
      encoder: this.encoderWeight.read() as tf.Tensor2D,
      decoder: this.decoderWeight.read() as tf.Tensor2D,
    };
  }

  /** x [..., C] -> activations [..., K]. */
  encode(x: tf.Tensor): tf.Tensor {
    return encode(x, this.weightTensors.encoder, this.k);
  }

  /** activations [..., K] -> reconstruction [..., C]. */
  decode(u: tf.Tensor): tf.Tensor {
    return decode(u, this.weightTensors.decoder);
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const x = Array.isArray(inputs) ? inputs[0] : inputs;
    return tf.tidy(() => this.decode(this.encode(x)));
  }

  override computeOutputShape(inputShape: tf.Shape | tf.Shape[]): tf.Shape | tf.Shape[] {
    return inputShape;
  }

  override getConfig(): tf.serialization.ConfigDict {
    return {
      ...super.getConfig(),
      channels: this.channels,
      latents: this.latents,
      k: this.k,
      seed: this.seed,
    };
  }
}

tf.serialization.registerClass(TopKSae);
