import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { writeFolderAtomic, writePieces } from '../core/atomicFile.js';
import { toFloat16 } from '../core/float16.js';
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

/** Values of a weight in tfjs's layout. */
export type WeightValues = Float32Array | Int32Array;

function encode(
  weight: tf.LayerVariable,
  values: WeightValues,
  storage: StorageType,
): { spec: StoredWeight; bytes: Uint8Array } {
  const base = { name: weight.originalName, shape: [...weight.shape] as number[] };
  if (values instanceof Int32Array) return { spec: { ...base, dtype: 'int32' }, bytes: bytesOf(values) };
  if (storage === 'float16' && fitsFloat16(values, weight.shape.length)) {
    const spec: StoredWeight = { ...base, dtype: 'float32', quantization: { dtype: 'float16' } };
    return { spec, bytes: toFloat16(values) };
  }
  return { spec: { ...base, dtype: 'float32' }, bytes: bytesOf(values) };
}

async function currentValues(weight: tf.LayerVariable): Promise<WeightValues> {
  return (await weight.read().data()) as WeightValues;
}

/** Small weights are gathered to pieces of this size. */
const PIECE_BYTES = 2 ** 22;

/**
 * Writes the three files of a network, the folder replaced as a whole; returns the hash of the weights.
 * @param valuesOf the values to store, asked for one weight after the other, so that a network larger than the memory
 * can be written. Default: those that the network holds.
 */
export async function saveModel(
  network: tf.LayersModel,
  spec: ModelSpec,
  folder: string,
  storage: StorageType,
  valuesOf: (weight: tf.LayerVariable) => WeightValues | Promise<WeightValues> = currentValues,
): Promise<string> {
  let weightsHash = '';
  await writeFolderAtomic(folder, async (temporary) => {
    const hash = createHash('sha256');
    const weights: StoredWeight[] = [];
    const pieces = async function* (): AsyncGenerator<Uint8Array> {
      let gathered: Uint8Array[] = [];
      let gatheredBytes = 0;
      const joined = (): Uint8Array => {
        const piece = gathered.length === 1 ? gathered[0] : Buffer.concat(gathered);
        hash.update(piece);
        gathered = [];
        gatheredBytes = 0;
        return piece;
      };
      for (const weight of network.weights) {
        const encoded = encode(weight, await valuesOf(weight), storage);
        weights.push(encoded.spec);
        gathered.push(encoded.bytes);
        gatheredBytes += encoded.bytes.length;
        if (gatheredBytes >= PIECE_BYTES) yield joined();
      }
      if (gatheredBytes > 0) yield joined();
    };
    const handle = await open(join(temporary, WEIGHTS_FILE), 'w');
    try {
      await writePieces(handle, pieces());
      await handle.sync();
    } finally {
      await handle.close();
    }
    weightsHash = hash.digest('hex');
    const model = {
      format: 'layers-model',
      generatedBy: `TensorFlow.js tfjs-layers v${tf.version_layers}`,
      convertedBy: null,
      modelTopology: network.toJSON(null, false),
      weightsManifest: [{ paths: [WEIGHTS_FILE], weights }],
    };
    writeFileSync(join(temporary, MODEL_FILE), `${JSON.stringify(model)}\n`, { flush: true });
    const text = JSON.stringify({ ...spec, weightsHash }, null, 2);
    writeFileSync(join(temporary, SPEC_FILE), `${text}\n`, { flush: true });
  });
  return weightsHash;
}
