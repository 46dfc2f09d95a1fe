import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { writeFolderAtomic } from '../core/atomicFile.js';
import { toFloat16 } from '../core/float16.js';
import { sha256 } from '../core/hash.js';
import { MODEL_FILE, SPEC_FILE, type StoredWeight, WEIGHTS_FILE } from './modelFile.js';
import type { ModelSpec } from './spec.js';

/** Storage of weights in a file: float16 halves it and keeps about three digits. */
export type StorageType = 'float32' | 'float16';

/** Largest finite float16, and the least size at which its values keep their precision. */
const FLOAT16_MAX = 65504;
const FLOAT16_FINE = 2 ** -10;

/** Filters and matrices only: vectors (norm weights, running statistics) are small and need their digits. */
function fitsFloat16(values: Float32Array, rank: number): boolean {
  let largest = 0;
  for (const v of values) largest = Math.max(largest, Math.abs(v));
  return rank >= 2 && largest <= FLOAT16_MAX && (largest === 0 || largest >= FLOAT16_FINE);
}

function bytesOf(values: Float32Array | Int32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

async function encode(
  weight: tf.LayerVariable,
  storage: StorageType,
): Promise<{ spec: StoredWeight; bytes: Uint8Array }> {
  const tensor = weight.read();
  const values = (await tensor.data()) as Float32Array | Int32Array;
  const base = { name: weight.originalName, shape: [...tensor.shape] };
  if (values instanceof Int32Array) return { spec: { ...base, dtype: 'int32' }, bytes: bytesOf(values) };
  if (storage === 'float16' && fitsFloat16(values, tensor.rank)) {
    const spec: StoredWeight = { ...base, dtype: 'float32', quantization: { dtype: 'float16' } };
    return { spec, bytes: toFloat16(values) };
  }
  return { spec: { ...base, dtype: 'float32' }, bytes: bytesOf(values) };
}

/** Writes the three files of a network, the folder replaced as a whole; returns the hash of the weights. */
export async function saveModel(
  network: tf.LayersModel,
  spec: ModelSpec,
  folder: string,
  storage: StorageType,
): Promise<string> {
  const encoded = [];
  for (const weight of network.weights) encoded.push(await encode(weight, storage));
  const weights = Buffer.concat(encoded.map((e) => e.bytes));
  const weightsHash = sha256(weights);
  const model = {
    format: 'layers-model',
    generatedBy: `TensorFlow.js tfjs-layers v${tf.version_layers}`,
    convertedBy: null,
    modelTopology: network.toJSON(null, false),
    weightsManifest: [{ paths: [WEIGHTS_FILE], weights: encoded.map((e) => e.spec) }],
  };
  await writeFolderAtomic(folder, (temporary) => {
    writeFileSync(join(temporary, WEIGHTS_FILE), weights, { flush: true });
    writeFileSync(join(temporary, MODEL_FILE), `${JSON.stringify(model)}\n`, { flush: true });
    const text = JSON.stringify({ ...spec, weightsHash }, null, 2);
    writeFileSync(join(temporary, SPEC_FILE), `${text}\n`, { flush: true });
  });
  return weightsHash;
}
