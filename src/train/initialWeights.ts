import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { toFloat32, toInt64 } from '../convert/castTensor.js';
import { readCheckpoint } from '../convert/readCheckpoint.js';
import { chooseCopy, findCopies } from '../convert/stateCopies.js';
import { FactError } from '../core/errors.js';
import type { BcosModel } from '../models/bcosModel.js';
import { loadModel } from '../models/loadModel.js';
import type { StateEntry } from '../models/stateDict.js';
import { modelFromCheckpoint } from './modelFromCheckpoint.js';
import { runPaths } from './run/folder.js';
import { isBelow } from './weights.js';

/** Values by PyTorch's names and in its layout. */
type Values = ReadonlyMap<
  string,
  { readonly shape: readonly number[]; readonly values: Float32Array | BigInt64Array }
>;

/**
 * A network from a model folder, a run's folder (its finished network, else its best checkpoint) or a checkpoint of a
 * run. Null where the path is a file of another kind. Throws FactError E_INIT_MISSING and the readers' errors.
 */
export async function openTrainedModel(path: string): Promise<BcosModel | null> {
  if (!existsSync(path)) {
    throw new FactError({
      code: 'E_INIT_MISSING',
      message: `there is no network at ${path}`,
      remedy: 'Give a model folder, the folder of a run, or a checkpoint file.',
    });
  }
  if (statSync(path).isDirectory()) {
    if (existsSync(join(path, 'fact.json'))) return loadModel(path);
    const { model, best, last } = runPaths(path);
    if (existsSync(join(model, 'fact.json'))) return loadModel(model);
    if (existsSync(best) || existsSync(last)) return modelFromCheckpoint(existsSync(best) ? best : last);
    return loadModel(path); // its error says what a model folder needs
  }
  if (!path.endsWith('.safetensors')) return null;
  const { metadata } = await readCheckpoint(path);
  return metadata.get('format') === 'fact-checkpoint' ? modelFromCheckpoint(path) : null;
}

async function valuesOf(path: string, wanted: readonly StateEntry[]): Promise<Values> {
  const model = await openTrainedModel(path);
  if (model !== null) {
    try {
      return new Map(
        model.stateDict().map((entry) => [entry.name, { shape: entry.shape, values: entry.read() }]),
      );
    } finally {
      model.dispose();
    }
  }
  const { tensors } = await readCheckpoint(path);
  const copy = chooseCopy(findCopies(tensors, wanted), {}, path);
  const values = new Map<string, { shape: readonly number[]; values: Float32Array | BigInt64Array }>();
  for (const [name, tensor] of copy.tensors) {
    const isCounter = name.endsWith('num_batches_tracked');
    values.set(name, {
      shape: tensor.shape,
      values: isCounter ? toInt64(tensor) : toFloat32(tensor),
    });
  }
  return values;
}

/**
 * Gives a network the weights of a trained one. Weights below `newHead` stay as they are; all others must be there with
 * the same shape. Throws FactError E_INIT_MISSING, E_INIT_WEIGHTS (names the weight) and the readers' errors.
 */
export async function loadInitialWeights(
  model: BcosModel,
  from: string,
  newHead: string | null,
): Promise<void> {
  const wanted = model.stateDict().filter((entry) => newHead === null || !isBelow(entry.name, newHead));
  const values = await valuesOf(from, wanted);
  const found = wanted.map((entry) => {
    const value = values.get(entry.name);
    if (value === undefined && entry.name.endsWith('num_batches_tracked')) return null; // PyTorch lets it be absent
    if (value === undefined || value.shape.join() !== entry.shape.join()) {
      throw new FactError({
        code: 'E_INIT_WEIGHTS',
        message:
          value === undefined
            ? `${from} has no weight ${entry.name}`
            : `${from}: ${entry.name} has shape [${value.shape}], expected [${entry.shape}]`,
        remedy:
          'Use the architecture of those weights, or name the part that stays fresh in init.newHead (e.g. fc).',
      });
    }
    return { entry, values: value.values };
  });
  for (const item of found) item?.entry.write(item.values);
}
