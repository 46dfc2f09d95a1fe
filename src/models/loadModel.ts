import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import type { z } from 'zod';
import { ABANDONED_MS, recoverFolder } from '../core/atomicFile.js';
import { FactError, messageOf, systemCodeOf } from '../core/errors.js';
import { fromFloat16 } from '../core/float16.js';
import type { BcosModel } from './bcosModel.js';
import { createModel } from './createModel.js';
import {
  corrupt,
  MODEL_FILE,
  modelFileSchema,
  SPEC_FILE,
  type StoredWeight,
  storedBytes,
  WEIGHTS_FILE,
} from './modelFile.js';
import { isPlausible } from './plausible.js';
import { type ModelSpec, modelSpecSchema } from './spec.js';

/** Turns the system's errors of reading a file into E_MODEL_MISSING and E_MODEL_UNREADABLE. */
function readChecked<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof FactError || systemCodeOf(error) === undefined) throw error;
    const isMissing = ['ENOENT', 'ENOTDIR'].includes(systemCodeOf(error) ?? '');
    throw new FactError({
      code: isMissing ? 'E_MODEL_MISSING' : 'E_MODEL_UNREADABLE',
      message: isMissing ? `${path}: no such file` : `${path}: ${messageOf(error)}`,
      remedy: `A network is a folder with ${MODEL_FILE}, ${WEIGHTS_FILE} and ${SPEC_FILE}; check the path and its permissions.`,
      cause: error,
    });
  }
}

function readPart(folder: string, name: string): Buffer {
  const path = join(folder, name);
  return readChecked(path, () => readFileSync(path));
}

function parsePart<T>(path: string, bytes: Buffer, schema: z.ZodType<T>): T {
  let json: unknown;
  try {
    json = JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw corrupt(path, `not JSON: ${messageOf(error)}`, error);
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw corrupt(path, `${issue.path.join('.') || '(all)'}: ${issue.message}`);
}

/** The network that a spec describes, with zero weights. */
function emptyModel(path: string, spec: ModelSpec): BcosModel {
  try {
    const { inputSize, preprocessing, classNames, options } = spec;
    return createModel(spec.arch, { ...options, inputSize, preprocessing, classNames, weights: 'zero' });
  } catch (error) {
    const isOption = error instanceof FactError && ['E_MODEL_OPTION', 'E_LAYER_CONFIG'].includes(error.code);
    throw isOption ? corrupt(path, error.message, error) : error;
  }
}

/** Bytes in a buffer of their own, so that typed arrays lie over them. Throws E_MODEL_CORRUPT where the file is shorter. */
function readPiece(path: string, handle: number, length: number): ArrayBuffer {
  const { buffer } = Buffer.allocUnsafeSlow(length);
  const bytes = new Uint8Array(buffer);
  for (let filled = 0; filled < length; ) {
    const count = readSync(handle, bytes, filled, Math.min(LARGEST_READ, length - filled), null);
    if (count === 0) throw corrupt(path, 'the file became shorter while it was read');
    filled += count;
  }
  return buffer as ArrayBuffer;
}

/** One call reads at most this much (the system's limit is 2 GB). */
const LARGEST_READ = 2 ** 30;

function decode(buffer: ArrayBuffer, weight: StoredWeight): Float32Array | Int32Array {
  if (weight.quantization !== undefined) return fromFloat16(new Uint8Array(buffer));
  return weight.dtype === 'int32' ? new Int32Array(buffer) : new Float32Array(buffer);
}

/** Reads the weights one after the other into the network; returns the hash of the file. */
function readWeights(path: string, model: BcosModel, stored: readonly StoredWeight[]): string {
  const targets = new Map(model.network.weights.map((weight) => [weight.originalName, weight]));
  const total = stored.reduce((sum, weight) => sum + storedBytes(weight), 0);
  const hash = createHash('sha256');
  const handle = openSync(path, 'r');
  try {
    const { size } = fstatSync(handle);
    if (size !== total) throw corrupt(path, `${size} bytes, the manifest says ${total}`);
    for (const weight of stored) {
      const target = targets.get(weight.name);
      if (target === undefined || !targets.delete(weight.name))
        throw corrupt(path, `the network has no weight "${weight.name}", or it occurs twice`);
      const variable = target.read();
      if (variable.shape.join() !== weight.shape.join() || variable.dtype !== weight.dtype) {
        throw corrupt(
          path,
          `weight "${weight.name}" is ${weight.dtype} [${weight.shape}], expected ${variable.dtype} [${variable.shape}]`,
        );
      }
      const piece = readPiece(path, handle, storedBytes(weight));
      hash.update(new Uint8Array(piece));
      const values = decode(piece, weight);
      tf.tidy(() => {
        target.write(tf.tensor(values, weight.shape, weight.dtype));
      });
    }
  } finally {
    closeSync(handle);
  }
  const [missing] = targets.keys();
  if (missing !== undefined) throw corrupt(path, `weight "${missing}" is missing`);
  return hash.digest('hex');
}

/**
 * Reads a network that `BcosModel.save` wrote. The architecture is built from fact.json, the weights are checked
 * against their hash, names, shapes and types.
 * Throws FactError E_MODEL_MISSING, E_MODEL_UNREADABLE, E_MODEL_CORRUPT, E_MODEL_UNKNOWN.
 */
export async function loadModel(folder: string): Promise<BcosModel> {
  recoverFolder(folder, ABANDONED_MS);
  const specPath = join(folder, SPEC_FILE);
  const spec = parsePart(specPath, readPart(folder, SPEC_FILE), modelSpecSchema);
  const modelPath = join(folder, MODEL_FILE);
  const { weightsManifest } = parsePart(modelPath, readPart(folder, MODEL_FILE), modelFileSchema);
  const [{ weights }] = weightsManifest;
  const shapes = weights.map(({ shape }) => shape);
  if (!isPlausible(spec.options, shapes))
    throw corrupt(specPath, `its options ask for a larger network than the weights in ${MODEL_FILE}`);
  const weightsPath = join(folder, WEIGHTS_FILE);
  const model = emptyModel(specPath, spec);
  try {
    const hash = readChecked(weightsPath, () => readWeights(weightsPath, model, weights));
    if (hash !== spec.weightsHash)
      throw corrupt(
        weightsPath,
        `hash ${hash.slice(0, 12)}..., ${SPEC_FILE} says ${String(spec.weightsHash).slice(0, 12)}...`,
      );
  } catch (error) {
    model.dispose();
    throw error;
  }
  model.describe({ source: spec.source, weightsHash: spec.weightsHash });
  return model;
}
