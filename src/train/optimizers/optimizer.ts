import type * as tf from '@tensorflow/tfjs';

/** Tensors of one weight's step; all of the weight's shape except the scalars. */
export interface WeightStep {
  readonly weight: tf.Tensor;
  readonly gradient: tf.Tensor;
  /** One tensor a slot name. */
  readonly slots: Readonly<Record<string, tf.Tensor>>;
  /** Learning rate of this weight, a scalar tensor. */
  readonly rate: tf.Scalar;
  /** The numbers of `Optimizer.scalars` for this update, as scalar tensors. */
  readonly scalars: readonly tf.Scalar[];
}

/** What a step gives: the new weight and one tensor a slot name. */
export interface WeightUpdate {
  readonly weight: tf.Tensor;
  readonly slots: Readonly<Record<string, tf.Tensor>>;
}

/**
 * An optimiser is a pure map (weight, slots, gradient) -> (weight, slots). What changes from update to update comes in
 * as scalar tensors, so that one traced graph serves all updates. Slots start at zero.
 */
export interface Optimizer {
  readonly slotNames: readonly string[];
  /** Numbers that depend on the update (from 1), computed in float64. Always of the same length. */
  scalars(update: number): readonly number[];
  step(input: WeightStep): WeightUpdate;
}
