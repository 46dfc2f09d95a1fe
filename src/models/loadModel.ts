import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import type { z } from 'zod';
import { FactError, messageOf, systemCodeOf } from '../core/errors.js';
import { fromFloat16 } from '../core/float16.js';
import { sha256 } from '../core/hash.js';
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
import { type ModelSpec, modelSpecSchema } from './spec.js';

async function readPart(folder: string, name: string): Promise<Buffer> {
  const path = join(folder, name);
  try {
    return await readFile(path);
  } catch (error) {
    const isMissing = ['ENOENT', 'ENOTDIR'].includes(systemCodeOf(error) ?? '');
    throw new FactError({
      code: isMissing ? 'E_MODEL_MISSING' : 'E_MODEL_UNREADABLE',
      message: isMissing ? `${path}: no such file` : `${path}: ${messageOf(error)}`,
      remedy: `A network is a folder with ${MODEL_FILE}, ${WEIGHTS_FILE} and ${SPEC_FILE}; check the path and its permissions.`,
      cause: error,
    });
  }
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
    throw error instanceof FactError && error.code === 'E_MODEL_OPTION'
      ? corrupt(path, error.message, error)
      : error;
  }
}

function decode(bytes: Buffer, offset: number, weight: StoredWeight): Float32Array | Int32Array {
  const piece = bytes.buffer.slice(
    bytes.byteOffset + offset,
    bytes.byteOffset + offset + storedBytes(weight),
  );
  if (weight.quantization !== undefined) return fromFloat16(new Uint8Array(piece));
  return weight.dtype === 'int32' ? new Int32Array(piece) : new Float32Array(piece);
}

function assignWeights(path: string, model: BcosModel, stored: readonly StoredWeight[], bytes: Buffer): void {
  const targets = new Map(model.network.weights.map((weight) => [weight.originalName, weight]));
  const total = stored.reduce((sum, weight) => sum + storedBytes(weight), 0);
  if (total !== bytes.length) throw corrupt(path, `${bytes.length} bytes, the manifest says ${total}`);
  let offset = 0;
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
    const values = decode(bytes, offset, weight);
    tf.tidy(() => {
      target.write(tf.tensor(values, weight.shape, weight.dtype));
    });
    offset += storedBytes(weight);
  }
  const [missing] = targets.keys();
  if (missing !== undefined) throw corrupt(path, `weight "${missing}" is missing`);
}

/**
 * Reads a network that `BcosModel.save` wrote. The architecture is built from fact.json, the weights are checked
 * against their hash, names, shapes and types.
 * Throws FactError E_MODEL_MISSING, E_MODEL_UNREADABLE, E_MODEL_CORRUPT, E_MODEL_UNKNOWN.
 */
export async function loadModel(folder: string): Promise<BcosModel> {
  const specPath = join(folder, SPEC_FILE);
  const spec = parsePart(specPath, await readPart(folder, SPEC_FILE), modelSpecSchema);
  const modelPath = join(folder, MODEL_FILE);
  const { weightsManifest } = parsePart(modelPath, await readPart(folder, MODEL_FILE), modelFileSchema);
  const bytes = await readPart(folder, WEIGHTS_FILE);
  const weightsPath = join(folder, WEIGHTS_FILE);
  const hash = sha256(bytes);
  if (hash !== spec.weightsHash)
    throw corrupt(
      weightsPath,
      `hash ${hash.slice(0, 12)}..., ${SPEC_FILE} says ${String(spec.weightsHash).slice(0, 12)}...`,
    );
  const model = emptyModel(specPath, spec);
  try {
    assignWeights(weightsPath, model, weightsManifest[0].weights, bytes);
  } catch (error) {
    model.dispose();
    throw error;
  }
  model.describe({ source: spec.source, weightsHash: spec.weightsHash });
  return model;
}
