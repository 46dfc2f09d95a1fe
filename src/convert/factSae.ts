import { FactError } from '../core/errors.js';
import { toFloat32, toInt64 } from './castTensor.js';
import type { NamedTensor } from './dtypes.js';
import type { PickleValue } from './pytorch/pickleValues.js';
import { type Checkpoint, readCheckpoint } from './readCheckpoint.js';

/** A bias-free TopK autoencoder as plain arrays. Encode: topk_k(relu(x E^T)); decode: a D^T. */
export interface FactSaeArrays {
  /** Concepts that stay non-zero at a position. */
  readonly k: number;
  readonly channels: number;
  readonly latents: number;
  /** [latents, channels], row-major. */
  readonly encoder: Float32Array;
  /** [channels, latents], row-major. */
  readonly decoder: Float32Array;
  /** Numbers of the training log, where the file holds one. */
  readonly log: ReadonlyMap<string, number>;
}

const REMEDY =
  'Expected the layout of FaCT: k, encoder.weight [latents, channels], decoder.weight [channels, latents].';

function layoutError(file: string, what: string): FactError {
  return new FactError({ code: 'E_SAE_LAYOUT', message: `${file}: ${what}`, remedy: REMEDY });
}

/** The autoencoder in a checkpoint that was read. Throws FactError E_SAE_LAYOUT. */
export function factSaeOf(checkpoint: Checkpoint, file: string): FactSaeArrays {
  const tensors = new Map(checkpoint.tensors.map((tensor) => [tensor.name, tensor]));
  const matrix = (name: string): NamedTensor => {
    const tensor = tensors.get(name);
    if (tensor === undefined)
      throw layoutError(
        file,
        `no tensor "${name}" (there are: ${[...tensors.keys()].slice(0, 8).join(', ') || 'none'})`,
      );
    if (tensor.shape.length !== 2)
      throw layoutError(file, `"${name}" has shape [${tensor.shape}], expected two axes`);
    return tensor;
  };
  for (const name of ['encoder.bias', 'decoder.bias', 'b_dec', 'bias'])
    if (tensors.has(name))
      throw layoutError(file, `it has "${name}"; with a bias the sums over concepts do not hold`);
  const encoder = matrix('encoder.weight');
  const decoder = matrix('decoder.weight');
  const [latents, channels] = encoder.shape;
  if (decoder.shape[0] !== channels || decoder.shape[1] !== latents)
    throw layoutError(
      file,
      `"decoder.weight" has shape [${decoder.shape}], expected [${channels},${latents}] beside "encoder.weight" [${latents},${channels}]`,
    );
  const k = readK(tensors.get('k'), checkpoint.metadata.get('k'));
  if (k === undefined || !Number.isInteger(k) || k < 1 || k > latents)
    throw layoutError(file, `k is ${k ?? 'missing'}, expected a whole number from 1 to ${latents}`);
  return {
    k,
    channels,
    latents,
    encoder: toFloat32(encoder),
    decoder: toFloat32(decoder),
    log: readLog(checkpoint.tree, tensors),
  };
}

function readK(tensor: NamedTensor | undefined, text: string | undefined): number | undefined {
  if (tensor !== undefined) return Number(toInt64(tensor)[0]);
  return text === undefined ? undefined : Number(text);
}

/** Plain numbers and tensors without axes below `log`. */
function readLog(tree: PickleValue, tensors: ReadonlyMap<string, NamedTensor>): Map<string, number> {
  const log = new Map<string, number>();
  const root =
    tree !== null && typeof tree === 'object' && tree.kind === 'dict' ? tree.entries.get('slog')?.[1] : null;
  if (root === undefined || root === null || typeof root !== 'object' || root.kind !== 'dict') return log;
  for (const [key, value] of root.entries.values()) {
    if (typeof key !== 'string') continue;
    if (typeof value === 'number') log.set(key, value);
    else if (value !== null && typeof value === 'object' && value.kind === 'float') log.set(key, value.value);
    else if (
      value !== null &&
      typeof value === 'object' &&
      value.kind === 'tensor' &&
      value.shape.length === 0
    ) {
      const tensor = tensors.get(`log.${key}`);
      if (tensor !== undefined) log.set(key, toFloat32(tensor)[0]);
    }
  }
  return log;
}

/**
 * Reads an autoencoder in FaCT's released layout (.pt), or the same names in safetensors with `k` in the metadata.
 * Throws FactError E_SAE_LAYOUT and the errors of `readCheckpoint`.
 */
export async function readFactSae(path: string): Promise<FactSaeArrays> {
  return factSaeOf(await readCheckpoint(path), path);
}
