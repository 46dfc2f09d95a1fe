import * as tf from '@tensorflow/tfjs';
import type { CallArgs } from './callArgs.js';
import { singleInput, singleShape } from './checks.js';
import { closedForm } from './closedForm.js';

export interface GeluConfig {
  name?: string;
  /** Explanation mode holds F(x) constant, so that y = F x is linear in x (B-cosified ViTs). Default false. */
  detachable?: boolean;
}

/**
 * Exact GELU of the standard ViTs: y = x F(x), F the normal distribution function (erf form);
 * dy/dx = F(x) + x f(x), f its density. Any shape.
 */
export class Gelu extends tf.layers.Layer {
  static readonly className = 'Gelu';
  readonly isDetachable: boolean;

  constructor(config: GeluConfig = {}) {
    super(config as ConstructorParameters<typeof tf.layers.Layer>[0]);
    this.isDetachable = config.detachable ?? false;
  }

  override call(inputs: tf.Tensor | tf.Tensor[], args?: CallArgs): tf.Tensor {
    const isHeld = this.isDetachable && args?.explain === true;
    return tf.tidy(() => {
      const x = singleInput(inputs);
      return closedForm(
        [x],
        () => {
          const share = tf.mul(tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1), 0.5);
          return { value: tf.mul(x, share), saved: [x, share] };
        },
        (dy, [x, share]) => {
          if (isHeld) return [tf.mul(dy, share)];
          const density = tf.mul(tf.exp(tf.mul(tf.square(x), -0.5)), 1 / Math.sqrt(2 * Math.PI));
          return [tf.mul(dy, tf.add(share, tf.mul(x, density)))];
        },
      );
    });
  }

  override computeOutputShape(inputShape: tf.Shape | tf.Shape[]): tf.Shape {
    return singleShape(inputShape);
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), detachable: this.isDetachable };
  }
}
tf.serialization.registerClass(Gelu);
