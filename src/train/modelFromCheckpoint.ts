import { FactError } from '../core/errors.js';
import type { BcosModel } from '../models/bcosModel.js';
import { type CreateOptions, createModel } from '../models/createModel.js';
import { modelSpecSchema } from '../models/spec.js';
import { readCheckpointFile } from './checkpoint/format.js';
import { writeVariables } from './checkpoint/state.js';
import { namedWeights } from './weights.js';

/**
 * The network of a run's checkpoint, as it was trained so far.
 * @param average take the moving average of the weights
 * Throws FactError E_CHECKPOINT_*.
 */
export function modelFromCheckpoint(path: string, average = false): BcosModel {
  const { state, tensors } = readCheckpointFile(path);
  const spec = modelSpecSchema.safeParse(state.model);
  if (!spec.success) {
    throw new FactError({
      code: 'E_CHECKPOINT_BROKEN',
      message: `${path}: the description of its network is damaged`,
      remedy: 'Use another checkpoint of the run, or train again.',
    });
  }
  const { arch, options, inputSize, preprocessing, classNames, source } = spec.data;
  const create: CreateOptions = { ...options, inputSize, preprocessing, classNames, weights: 'zero' };
  const model = createModel(arch, create);
  const prefix = average ? 'average/' : 'model/';
  const own = new Map([...tensors].filter(([name]) => name.startsWith(prefix)));
  try {
    writeVariables(
      path,
      new Map(namedWeights(model.network).map((w) => [`${prefix}${w.name}`, w.variable])),
      own,
    );
  } catch (error) {
    model.dispose();
    throw error;
  }
  model.describe({ source: source ?? path });
  return model;
}
