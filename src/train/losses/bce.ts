import * as tf from '@tensorflow/tfjs';

/**
 * Sigmoid binary cross-entropy of each logit, elementwise, numerically stable:
 *
 *     l(z, t) = (1 - t) z + q (log(1 + exp(-|z|)) + max(-z, 0)),     q = 1 + (positiveWeight - 1) t
 *     dl/dz   = (1 - t) - q (1 - sigmoid(z))
 *
 * (PyTorch's BCEWithLogitsLoss without reduction.) Shapes: logits, targets [N, classes]; weights [classes].
 * Targets get no gradient.
 */
export function binaryCrossEntropy(
  logits: tf.Tensor2D,
  targets: tf.Tensor2D,
  weights: { readonly weight?: tf.Tensor1D; readonly positiveWeight?: tf.Tensor1D } = {},
): tf.Tensor2D {
  const { weight, positiveWeight } = weights;
  const q = positiveWeight === undefined ? tf.onesLike(targets) : positiveWeight.sub(1).mul(targets).add(1);
  const loss = tf.customGrad((z, t, q, save) => {
    const [logit, target, factor] = [z as tf.Tensor, t as tf.Tensor, q as tf.Tensor];
    const softplus = logit.abs().neg().exp().log1p().add(logit.neg().relu());
    const value = logit.sub(logit.mul(target)).add(factor.mul(softplus));
    (save as tf.GradSaveFunc)([logit, target, factor]);
    return {
      value,
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const [sz, st, sq] = saved;
        const slope = tf.sub(1, st).sub(sq.mul(tf.sub(1, sz.sigmoid())));
        return [dy.mul(slope), tf.zerosLike(st), tf.zerosLike(sq)];
      },
    };
  })(logits, targets, q) as tf.Tensor2D;
  return weight === undefined ? loss : loss.mul(weight);
}
