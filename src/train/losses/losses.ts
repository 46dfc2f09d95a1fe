import * as tf from '@tensorflow/tfjs';
import type { LossConfig } from '../config/schema.js';
import { binaryCrossEntropy } from './bce.js';

/** Per-element losses of logits and targets, both [N, classes]: [N, classes] for the BCE family, [N] for softmax. */
export type LossFunction = (logits: tf.Tensor2D, targets: tf.Tensor2D) => tf.Tensor;

/** Label smoothing: `t (1 - s) + s / classes`. */
function smooth(targets: tf.Tensor2D, smoothing: number): tf.Tensor2D {
  return smoothing === 0 ? targets : targets.mul(1 - smoothing).add(smoothing / targets.shape[1]);
}

/** Softmax cross-entropy of soft or one-hot targets: `-sum_k t_k log softmax(z)_k`, one number a row. */
export function softmaxCrossEntropy(logits: tf.Tensor2D, targets: tf.Tensor2D): tf.Tensor1D {
  return targets.mul(tf.logSoftmax(logits)).sum<tf.Tensor1D>(1).neg();
}

/**
 * The losses of the reference (B-cos v2), elementwise:
 * - `bce`: smoothing first, then the threshold that turns targets into 0 and 1, then sigmoid BCE;
 * - `uniformOffBce`: targets raised to at least `offLabel` (null or 0: 1/classes), then sigmoid BCE;
 * - `crossEntropy`: softmax cross-entropy with label smoothing.
 */
export function lossFunction(config: LossConfig): LossFunction {
  switch (config.name) {
    case 'bce':
      return (logits, targets) => {
        const smoothed = smooth(targets, config.smoothing);
        const labels =
          config.targetThreshold === null
            ? smoothed
            : tf.cast(tf.greater(smoothed, config.targetThreshold), 'float32');
        return binaryCrossEntropy(logits, labels as tf.Tensor2D);
      };
    case 'uniformOffBce':
      return (logits, targets) => {
        const offLabel =
          config.offLabel === null || config.offLabel === 0 ? 1 / targets.shape[1] : config.offLabel;
        return binaryCrossEntropy(logits, tf.maximum(targets, offLabel));
      };
    case 'crossEntropy':
      return (logits, targets) => softmaxCrossEntropy(logits, smooth(targets, config.smoothing));
  }
}

/** Mean loss of each row, [N]: over the classes for the BCE family. Their mean is the loss of a batch. */
export function rowLosses(loss: LossFunction, logits: tf.Tensor2D, targets: tf.Tensor2D): tf.Tensor1D {
  const elements = loss(logits, targets);
  return (elements.rank === 2 ? elements.mean(1) : elements) as tf.Tensor1D;
}

/** The loss that judges the validation split: plain BCE for the BCE family, as the reference does; else softmax. */
export function defaultTestLoss(training: LossConfig): LossConfig {
  return training.name === 'crossEntropy'
    ? { name: 'crossEntropy', smoothing: 0 }
    : { name: 'bce', smoothing: 0, targetThreshold: null };
}
