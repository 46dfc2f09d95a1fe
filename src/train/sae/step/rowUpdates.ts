/*
 * What a step does to the rows of the state once the gradients are known, by architecture; each row by itself, see
 * update.ts. The gradients are those of encoder and decoder directions [K, C] before clipping.
 */
import type * as tf from '@tensorflow/tfjs';
import type { RowUpdate } from '../../../engine/updateRows.js';
import { updateDictionary } from './archetypal.js';
import type { SaeArchitecture, StateName } from './state.js';
import { type AdamScalars, adam, removeParallel, unitRows } from './update.js';

export interface RowUpdateOf {
  readonly gradient: 'encoder' | 'decoder_rows';
  /** Variables that it changes, in the order of the function's first argument and of its results. */
  readonly variables: readonly StateName[];
  /** Variables that all rows read, after the step's scalars. */
  readonly shared: readonly StateName[];
  readonly update: RowUpdate;
}

/** The gradient of the decoder's directions as it is clipped. */
export function freeGradient(
  architecture: SaeArchitecture,
  gradient: tf.Tensor2D,
  directions: tf.Tensor2D,
): tf.Tensor2D {
  return architecture === 'archetypal' ? gradient : removeParallel(gradient, directions);
}

type Matrices = readonly tf.Tensor2D[];

/** The step's scalars as all updates get them: the clipping factor, Adam's, the bound of archetypal.ts. */
function scalarsOf(shared: readonly tf.Tensor[]) {
  const [factor, learningRate, correction1, correction2, bound] = shared as tf.Scalar[];
  const scalars: AdamScalars = { learningRate, correction1, correction2 };
  return { factor, scalars, bound, rest: shared.slice(5) as tf.Tensor2D[] };
}

const encoderUpdate: RowUpdateOf = {
  gradient: 'encoder',
  variables: ['encoder', 'encoder.moment1', 'encoder.moment2'],
  shared: [],
  update: (variables, [gradient], shared) => {
    const [weight, moment1, moment2] = variables as Matrices;
    const { factor, scalars } = scalarsOf(shared);
    const next = adam(weight, moment1, moment2, gradient as tf.Tensor2D, factor, scalars);
    return [next.weight, next.moment1, next.moment2];
  },
};

const unitDecoderUpdate: RowUpdateOf = {
  gradient: 'decoder_rows',
  variables: ['decoder_rows', 'decoder_rows.moment1', 'decoder_rows.moment2'],
  shared: [],
  update: (variables, [gradient], shared) => {
    const [weight, moment1, moment2] = variables as Matrices;
    const { factor, scalars } = scalarsOf(shared);
    const free = removeParallel(gradient as tf.Tensor2D, weight);
    const next = adam(weight, moment1, moment2, free, factor, scalars);
    return [unitRows(next.weight), next.moment1, next.moment2];
  },
};

const archetypalUpdate: RowUpdateOf = {
  gradient: 'decoder_rows',
  variables: [
    'decoder_rows',
    'mixture',
    'mixture.moment1',
    'mixture.moment2',
    'relaxation',
    'relaxation.moment1',
    'relaxation.moment2',
  ],
  shared: ['points'],
  update: (variables, [gradient], shared) => {
    const [decoderRows, mixture, m1, m2, relaxation, l1, l2] = variables as Matrices;
    const { factor, scalars, bound, rest } = scalarsOf(shared);
    const before = {
      decoderRows,
      mixture,
      mixtureMoments: [m1, m2],
      relaxation,
      relaxationMoments: [l1, l2],
    } as const;
    const next = updateDictionary(before, gradient as tf.Tensor2D, rest[0], bound, factor, scalars);
    return [
      next.decoderRows,
      next.mixture,
      ...next.mixtureMoments,
      next.relaxation,
      ...next.relaxationMoments,
    ];
  },
};

/** The updates of an architecture, one after the other. */
export function rowUpdatesOf(architecture: SaeArchitecture): readonly RowUpdateOf[] {
  return [encoderUpdate, architecture === 'archetypal' ? archetypalUpdate : unitDecoderUpdate];
}
