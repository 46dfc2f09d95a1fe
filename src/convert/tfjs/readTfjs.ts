import { basename, dirname, join } from 'node:path';
import { fromFloat16 } from '../../core/float16.js';
import { MODEL_FILE } from '../../models/modelFile.js';
import { type ByteSource, FileSource } from '../byteSource.js';
import { CheckpointErrors, quoted } from '../checkpointError.js';
import { byteLengthOf, countOf, type DType, lazyTensor, type NamedTensor } from '../dtypes.js';
import { MAX_MODEL_JSON } from '../limits.js';
import { ExternalFiles } from '../onnx/externalData.js';
import type { Checkpoint } from '../readCheckpoint.js';
import { type ManifestWeight, type ModelJson, parseModelJson } from './modelJson.js';
import { graphUses, layersUses, torchTensors } from './tfjsUses.js';

const DTYPES = new Map<string, DType>([
  ['float32', 'float32'],
  ['int32', 'int32'],
  ['uint8', 'uint8'],
  ['bool', 'bool'],
  ['float16', 'float16'],
]);
const STORED_BYTES = { float16: 2, uint8: 1, uint16: 2 } as const;

/** Files one after the other, as one. */
class JoinedSource implements ByteSource {
  readonly size: number;

  constructor(private readonly parts: readonly ByteSource[]) {
    this.size = parts.reduce((sum, part) => sum + part.size, 0);
  }

  read(start: number, length: number): Uint8Array {
    const pieces: Uint8Array[] = [];
    let before = 0;
    for (const part of this.parts) {
      const from = Math.max(0, start - before);
      const to = Math.min(part.size, start + length - before);
      if (from < to) pieces.push(part.read(from, to - from));
      before += part.size;
    }
    if (pieces.length === 1) return pieces[0];
    const whole = Buffer.concat(pieces);
    return new Uint8Array(whole.buffer, whole.byteOffset, whole.byteLength);
  }
}

/** True for what names a tfjs network: a model.json, or a folder with one. */
export function modelJsonPath(path: string, isFolder: boolean): string | null {
  if (isFolder) return join(path, MODEL_FILE);
  return basename(path).toLowerCase().endsWith('.json') ? path : null;
}

/** Numbers of a weight that is stored as integers: value x scale + min. */
function dequantised(bytes: Uint8Array, weight: ManifestWeight): Uint8Array {
  const { quantization } = weight;
  if (quantization === undefined) return bytes;
  if (quantization.dtype === 'float16') return new Uint8Array(fromFloat16(bytes).buffer);
  const { scale = 1, min = 0 } = quantization;
  const own = bytes.slice();
  const values = quantization.dtype === 'uint8' ? own : new Uint16Array(own.buffer);
  return new Uint8Array(Float32Array.from(values, (value) => value * scale + min).buffer);
}

/**
 * The weights of a manifest, by name, on demand. Throws E_CKPT_CORRUPT, E_CKPT_UNSUPPORTED.
 * @param filesOf the content of a group's files, one after the other
 */
export function manifestTensors(
  model: ModelJson,
  filesOf: (paths: readonly string[], group: number) => ByteSource,
  errors: CheckpointErrors,
): Map<string, NamedTensor> {
  const tensors = new Map<string, NamedTensor>();
  model.groups.forEach(({ paths, weights }, group) => {
    const source = filesOf(paths, group);
    let at = 0;
    for (const weight of weights) {
      const where = `weight ${quoted(weight.name)}`;
      const dtype = DTYPES.get(weight.dtype);
      if (dtype === undefined)
        throw errors.fault('unsupported', where, `its elements are ${quoted(weight.dtype)}`);
      if (tensors.has(weight.name)) throw errors.fault('corrupt', where, 'it is there twice');
      const { name, shape, quantization } = weight;
      if (quantization !== undefined && dtype !== 'float32')
        throw errors.fault('unsupported', where, `a quantised ${dtype}`);
      const length =
        quantization === undefined
          ? byteLengthOf({ dtype, shape })
          : countOf(shape) * STORED_BYTES[quantization.dtype];
      const start = at;
      at += length;
      if (!(at <= source.size))
        throw errors.fault(
          'truncated',
          where,
          `${length} bytes from byte ${start} of its files, which have ${source.size}`,
        );
      tensors.set(
        name,
        lazyTensor(name, dtype, shape, () => dequantised(source.read(start, length), weight)),
      );
    }
    if (at !== source.size)
      throw errors.fault(
        'corrupt',
        `weightsManifest.${group}`,
        `${source.size - at} bytes behind the last weight`,
      );
  });
  return tensors;
}

/** A checkpoint of a parsed model.json and its weights. */
export function tfjsCheckpoint(
  model: ModelJson,
  weights: Map<string, NamedTensor>,
  fileBytes: number,
  errors: CheckpointErrors,
): Checkpoint {
  const isLayers = model.format === 'layers-model';
  return {
    format: isLayers ? 'tfjs-layers' : 'tfjs-graph',
    tensors: isLayers ? torchTensors(weights) : [...weights.values()],
    tree: null,
    metadata: new Map(),
    skipped: [],
    fileBytes,
    uses: isLayers ? layersUses(model.topology, weights) : graphUses(model.topology, weights, errors),
  };
}

/**
 * Reads a tfjs LayersModel or GraphModel: model.json and the files that it names, which have to lie in its folder.
 * Throws E_NOT_FOUND, E_READ, E_CKPT_CORRUPT, _TRUNCATED, _UNSUPPORTED, _TOO_LARGE, _UNSAFE.
 */
export async function readTfjs(path: string): Promise<Checkpoint> {
  const errors = new CheckpointErrors(path);
  const source = new FileSource(path, 'the model.json of a tfjs network');
  if (source.size > MAX_MODEL_JSON) throw errors.fault('too_large', '', `${source.size} bytes`);
  const model = parseModelJson(source.read(0, source.size), errors);
  const files = new ExternalFiles(dirname(path), errors);
  let fileBytes = source.size;
  const weights = manifestTensors(
    model,
    (paths, group) => {
      const joined = new JoinedSource(paths.map((one) => files.file(one, `weightsManifest.${group}`)));
      fileBytes += joined.size;
      return joined;
    },
    errors,
  );
  return tfjsCheckpoint(model, weights, fileBytes, errors);
}
