import { FactError } from '../core/errors.js';
import type { BcosModel } from '../models/bcosModel.js';
import { createModel } from '../models/createModel.js';
import type { TrainConfig } from './config/schema.js';
import { loadInitialWeights } from './initialWeights.js';
import type { RunData } from './runData.js';

/** Evaluation transform of a recipe: the shorter side to `evalResize` (default: the image size), centre crop. */
function preprocessingOf(data: TrainConfig['data']): { resize: number; crop: [number, number] } {
  return { resize: data.evalResize ?? Math.max(...data.imageSize), crop: data.imageSize };
}

/**
 * The network of a recipe, for the classes of its data. `fresh` gives it its initial weights: random from the seed, then
 * those of `init.from`; otherwise they are left zero, to be read from a checkpoint.
 * Throws FactError E_MODEL_*, E_CONFIG, E_INIT_* and those of the weights' reader.
 */
export async function startModel(config: TrainConfig, data: RunData, fresh: boolean): Promise<BcosModel> {
  const { numClasses } = config.model.options;
  if (numClasses !== undefined && numClasses !== data.classes) {
    throw new FactError({
      code: 'E_CONFIG',
      message: `model.options.numClasses is ${String(numClasses)}, the data set has ${data.classes} classes`,
      remedy: 'Leave numClasses out of the recipe: the data set decides.',
      exitCode: 2,
    });
  }
  const model = createModel(config.model.arch, {
    ...config.model.options,
    numClasses: data.classes,
    inputSize: config.data.imageSize,
    preprocessing: preprocessingOf(config.data),
    classNames: [...data.classNames],
    seed: config.seed,
    weights: fresh ? 'random' : 'zero',
  });
  model.describe({ source: `fact train, recipe ${config.name}, seed ${config.seed}` });
  const { from, newHead } = config.init;
  if (fresh && from !== null) {
    try {
      await loadInitialWeights(model, from, newHead);
    } catch (error) {
      model.dispose();
      throw error;
    }
  }
  return model;
}
