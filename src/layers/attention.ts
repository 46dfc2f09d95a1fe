/**
 * Multi-head self-attention between a linear map to queries, keys and values and one from the heads.
 *
 *     qkv = [q | k | v], each [T, heads*d], heads major;   A = softmax(q k^T / sqrt(d)),  o = A v
 *     explain (A constant):  dv = A^T g,  dq = dk = 0
 *     normal:  dA = g v^T,  dS = A (dA - sum(dA A)),  dq = dS k / sqrt(d),  dk = dS^T q / sqrt(d),  dv = A^T g
 */
import * as tf from '@tensorflow/tfjs';
import type { CallArgs } from './callArgs.js';
import { channelsOf, configError, singleInput, singleShape, wholeNumber } from './checks.js';
import { closedForm } from './closedForm.js';

export interface AttentionConfig {
  name?: string;
  heads: number;
}

type Batches = tf.Tensor4D;

/** [N,T,3*heads*d] -> q, k, v, each [N,heads,T,d]. */
function splitHeads(qkv: tf.Tensor, heads: number): Batches[] {
  const [n, t, width] = qkv.shape;
  const d = width / (3 * heads);
  const parts = tf.unstack(tf.reshape(qkv, [n, t, 3, heads * d]), 2);
  return parts.map((part) => tf.transpose(tf.reshape(part, [n, t, heads, d]), [0, 2, 1, 3]) as Batches);
}

/** [N,heads,T,d] -> [N,T,heads*d]. */
function joinHeads(x: Batches): tf.Tensor3D {
  const [n, heads, t, d] = x.shape;
  return tf.reshape(tf.transpose(x, [0, 2, 1, 3]), [n, t, heads * d]);
}

/** See the top of the file. [N,T,3*heads*d] -> [N,T,heads*d]; no weights. */
export class Attention extends tf.layers.Layer {
  static readonly className = 'Attention';
  readonly heads: number;

  constructor(config: AttentionConfig) {
    super(config as unknown as ConstructorParameters<typeof tf.layers.Layer>[0]);
    this.heads = wholeNumber(this.name, 'heads', config.heads, 1);
  }

  override build(inputShape: tf.Shape | tf.Shape[]): void {
    const width = channelsOf(this, inputShape, 3);
    if (width % (3 * this.heads) !== 0)
      throw configError(this.name, 'heads', `a third of a divisor of the ${width} inputs`, this.heads);
    super.build(inputShape);
  }

  override call(inputs: tf.Tensor | tf.Tensor[], args: CallArgs): tf.Tensor {
    return tf.tidy(() => {
      const qkv = singleInput(inputs);
      const isExplain = args?.explain === true;
      // No engine agrees on permuting an empty batch.
      if (qkv.size === 0) return tf.mul(tf.slice(qkv, [0, 0, 0], [0, -1, (qkv.shape[2] ?? 0) / 3]), 1);
      return closedForm(
        [qkv],
        () => {
          const [q, k, v] = splitHeads(qkv, this.heads);
          const scaled = tf.mul(q, 1 / Math.sqrt(q.shape[3])) as Batches;
          const weights = tf.softmax(tf.matMul(scaled, k, false, true));
          return {
            value: joinHeads(tf.matMul(weights, v) as Batches),
            saved: isExplain ? [weights] : [weights, scaled, k, v],
          };
        },
        (dy, [weights, scaled, k, v]) => {
          const [n, heads, t] = weights.shape;
          const d = dy.shape[2] as number;
          const g = tf.transpose(tf.reshape(dy, [n, t, heads, d / heads]), [0, 2, 1, 3]) as Batches;
          const dv = joinHeads(tf.matMul(weights, g, true, false) as Batches);
          if (isExplain) return [tf.concat([tf.zeros([n, t, 2 * d]), dv], 2)];
          const da = tf.matMul(g, v, false, true);
          const ds = tf.mul(weights, tf.sub(da, tf.sum(tf.mul(da, weights), 3, true)));
          const root = 1 / Math.sqrt(d / heads);
          const dq = joinHeads(tf.mul(tf.matMul(ds, k), root) as Batches);
          const dk = joinHeads(tf.matMul(ds, scaled, true, false) as Batches);
          return [tf.concat([dq, dk, dv], 2)];
        },
      );
    });
  }

  override computeOutputShape(inputShape: tf.Shape | tf.Shape[]): tf.Shape {
    const [batch, tokens] = singleShape(inputShape);
    return [batch, tokens, channelsOf(this, inputShape, 3) / 3];
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), heads: this.heads };
  }
}
tf.serialization.registerClass(Attention);
