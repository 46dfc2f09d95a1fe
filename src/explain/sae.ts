/*
 * A sparse autoencoder with what ties it to a network, and its folder on disk: cfg.json (saeConfig.ts) and
 * sae_weights.safetensors with `encoder.weight` [K, C] and `decoder.weight` [C, K], float32 or float16.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import type { NamedTensor } from '../convert/dtypes.js';
import { readSafetensors, writeSafetensors } from '../convert/safetensors.js';
import { ABANDONED_MS, recoverFolder, writeFileAtomic, writeFolderAtomic } from '../core/atomicFile.js';
import { FactError, messageOf } from '../core/errors.js';
import { fromFloat16, toFloat16 } from '../core/float16.js';
import { sha256, sha256File } from '../core/hash.js';
import { checkSaeSize } from '../layers/topKSae.js';
import type { BcosModel } from '../models/bcosModel.js';
import { parseSaeConfig, SAE_FORMAT_VERSION, type SaeConfig } from './saeConfig.js';
import { SAE_CONFIG_FILE, SAE_WEIGHTS_FILE } from './session/modelFolders.js';

export { SAE_CONFIG_FILE, SAE_WEIGHTS_FILE };

/** What is known about an autoencoder besides its weights. */
export interface SaeMeta {
  /** Architecture of the network it was trained on; null where unknown (imported checkpoints). */
  readonly arch: string | null;
  /** Features were divided by this number in training; information only. */
  readonly normFactor: number | null;
  /** Activations of a position in training, on average: `k` unless the architecture is batchtopk. */
  readonly trainedK: number;
  /** How it was trained and what was measured: plain JSON. */
  readonly training: Readonly<Record<string, unknown>>;
}

/** How an autoencoder was trained, see docs/sae.md; decides with `threshold` which activations count. */
export type SaeArchitecture = SaeConfig['architecture'];

/** A bias-free autoencoder at a tap of a network. The tensors belong to it: call `dispose` when done. */
export interface Sae {
  readonly architecture: SaeArchitecture;
  readonly channels: number;
  readonly latents: number;
  /** Most activations of a position: how many places a sparse code has. */
  readonly k: number;
  /** Of a position's k largest activations those above it count; 0: all that are positive. */
  readonly threshold: number;
  /** [latents, channels] */
  readonly encoder: tf.Tensor2D;
  /** [channels, latents] */
  readonly decoder: tf.Tensor2D;
  readonly tap: string;
  /** `weightsHash` of the network it was trained on; null where unknown. */
  readonly modelHash: string | null;
  readonly meta: SaeMeta;
  dispose(): void;
}

export interface SaeParts {
  /** Default topk. */
  readonly architecture?: SaeArchitecture;
  readonly channels: number;
  readonly latents: number;
  readonly k: number;
  /** Default 0; greater for batchtopk, and only there. */
  readonly threshold?: number;
  /** Row-major [latents, channels]. */
  readonly encoder: Float32Array;
  /** Row-major [channels, latents]. */
  readonly decoder: Float32Array;
  readonly tap: string;
  readonly modelHash?: string | null;
  readonly meta?: Partial<SaeMeta>;
}

function firstNonFinite(values: Float32Array): number {
  return values.findIndex((v) => !Number.isFinite(v));
}

/** Builds an autoencoder from arrays, which it copies. Throws FactError E_SAE_CONFIG (sizes, values not finite). */
export function createSae(parts: SaeParts): Sae {
  const { channels, latents, k, architecture = 'topk', threshold = 0 } = parts;
  checkSaeSize({ channels, latents, k });
  if (!Number.isFinite(threshold) || threshold > 0 !== (architecture === 'batchtopk')) {
    throw new FactError({
      code: 'E_SAE_CONFIG',
      message: `autoencoder of architecture ${architecture}: the threshold is ${threshold}`,
      remedy: 'Give a positive threshold to architecture batchtopk, and none to others.',
    });
  }
  for (const name of ['encoder', 'decoder'] as const) {
    const values = parts[name];
    if (values.length !== latents * channels) {
      throw new FactError({
        code: 'E_SAE_CONFIG',
        message: `autoencoder: ${name} has ${values.length} values, expected ${latents} x ${channels}`,
        remedy: 'Check the number of channels and latents.',
      });
    }
    const bad = firstNonFinite(values);
    if (bad >= 0) {
      throw new FactError({
        code: 'E_SAE_CONFIG',
        message: `autoencoder: ${name}.weight holds ${values[bad]} at element ${bad}`,
        remedy: 'The weights are damaged or training diverged; use another checkpoint.',
      });
    }
  }
  const encoder = tf.tensor2d(Float32Array.from(parts.encoder), [latents, channels]);
  const decoder = tf.tensor2d(Float32Array.from(parts.decoder), [channels, latents]);
  return {
    architecture,
    channels,
    latents,
    k,
    threshold,
    encoder,
    decoder,
    tap: parts.tap,
    modelHash: parts.modelHash ?? null,
    meta: {
      arch: parts.meta?.arch ?? null,
      normFactor: parts.meta?.normFactor ?? null,
      trainedK: parts.meta?.trainedK ?? k,
      training: parts.meta?.training ?? {},
    },
    dispose: () => {
      encoder.dispose();
      decoder.dispose();
    },
  };
}

/** SHA-256 of what an autoencoder computes with: weights, sizes, threshold, tap. */
export async function saeHash(sae: Sae): Promise<string> {
  const { encoder, decoder, meta, modelHash, dispose, ...settings } = sae;
  const hash = createHash('sha256').update(JSON.stringify(settings));
  for (const tensor of [encoder, decoder]) {
    const values = await tensor.data();
    hash.update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  }
  return hash.digest('hex');
}

function encodeValues(
  folder: string,
  name: string,
  values: Float32Array,
  dtype: SaeConfig['dtype'],
): Uint8Array {
  if (dtype === 'float32') return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const overflow = values.findIndex((v) => Math.abs(v) >= 65520);
  if (overflow >= 0) {
    throw new FactError({
      code: 'E_F16_OVERFLOW',
      message: `${folder}: ${name} holds ${values[overflow]}, beyond the range of float16`,
      remedy: 'Save it as float32.',
    });
  }
  return toFloat16(values);
}

/**
 * Writes the folder, all or nothing: an old one stays until the new one is complete.
 * Throws FactError E_WRITE, E_F16_OVERFLOW.
 */
export async function saveSae(
  folder: string,
  sae: Sae,
  options: { readonly dtype?: SaeConfig['dtype'] } = {},
): Promise<void> {
  const dtype = options.dtype ?? 'float32';
  const tensors: NamedTensor[] = [];
  for (const [name, tensor] of [
    ['encoder.weight', sae.encoder],
    ['decoder.weight', sae.decoder],
  ] as const) {
    const values = (await tensor.data()) as Float32Array;
    tensors.push({ name, dtype, shape: [...tensor.shape], bytes: encodeValues(folder, name, values, dtype) });
  }
  await writeFolderAtomic(folder, async (temporary) => {
    const weights = join(temporary, SAE_WEIGHTS_FILE);
    await writeSafetensors(weights, tensors);
    const config: SaeConfig = {
      format: 'fact-sae',
      version: SAE_FORMAT_VERSION,
      architecture: sae.architecture,
      activation: 'topk',
      d_in: sae.channels,
      d_sae: sae.latents,
      k: sae.meta.trainedK,
      ...(sae.architecture === 'batchtopk' ? { threshold: sae.threshold, width: sae.k } : {}),
      dtype,
      apply_b_dec_to_input: false,
      hook_name: sae.tap,
      model_name: sae.meta.arch,
      model_weights_hash: sae.modelHash,
      norm_factor: sae.meta.normFactor,
      weights_sha256: await sha256File(weights),
      training: { ...sae.meta.training },
    };
    writeFileAtomic(join(temporary, SAE_CONFIG_FILE), `${JSON.stringify(config, null, 2)}\n`);
  });
}

function readOrThrow(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new FactError({
      code: 'E_SAE_MISSING',
      message: `cannot read ${path}: ${messageOf(error)}`,
      remedy: `Give the folder of an autoencoder: it holds ${SAE_CONFIG_FILE} and ${SAE_WEIGHTS_FILE}.`,
      cause: error,
    });
  }
}

function weightError(path: string, what: string): FactError {
  return new FactError({
    code: 'E_SAE_WEIGHTS',
    message: `${path}: ${what}`,
    remedy: 'The two files of the folder do not belong together or are damaged; copy the folder again.',
  });
}

/** Values of a named weight of the file; checks presence, shape and type. */
function weightOf(
  path: string,
  tensors: readonly NamedTensor[],
  name: string,
  shape: readonly number[],
  dtype: SaeConfig['dtype'],
): Float32Array {
  const tensor = tensors.find((t) => t.name === name);
  if (tensor === undefined) {
    throw weightError(path, `no tensor "${name}" (there are: ${tensors.map((t) => t.name).join(', ')})`);
  }
  if (tensor.shape.length !== shape.length || tensor.shape.some((d, i) => d !== shape[i])) {
    throw weightError(
      path,
      `"${name}" has shape [${tensor.shape}], expected [${shape}] by ${SAE_CONFIG_FILE}`,
    );
  }
  if (tensor.dtype !== dtype) {
    throw weightError(path, `"${name}" is ${tensor.dtype}, expected ${dtype} by ${SAE_CONFIG_FILE}`);
  }
  if (dtype === 'float16') return fromFloat16(tensor.bytes);
  return new Float32Array(new Uint8Array(tensor.bytes).buffer);
}

/**
 * Reads a folder that `saveSae` wrote. Caller disposes.
 * Throws FactError E_SAE_MISSING (a file is absent), E_SAE_CONFIG (cfg.json), E_SAE_WEIGHTS (weights do not fit
 * cfg.json, or its hash), and the safetensors reader's errors.
 */
export async function loadSae(folder: string): Promise<Sae> {
  recoverFolder(folder, ABANDONED_MS);
  const configPath = join(folder, SAE_CONFIG_FILE);
  const config = parseSaeConfig(configPath, new TextDecoder().decode(readOrThrow(configPath)));
  const weightsPath = join(folder, SAE_WEIGHTS_FILE);
  const bytes = readOrThrow(weightsPath);
  const { tensors } = readSafetensors(bytes, weightsPath);
  const { d_in: channels, d_sae: latents, k, dtype } = config;
  for (const tensor of tensors) {
    if (tensor.name !== 'encoder.weight' && tensor.name !== 'decoder.weight') {
      throw weightError(weightsPath, `unexpected tensor "${tensor.name}": this autoencoder has no biases`);
    }
  }
  const encoder = weightOf(weightsPath, tensors, 'encoder.weight', [latents, channels], dtype);
  const decoder = weightOf(weightsPath, tensors, 'decoder.weight', [channels, latents], dtype);
  const hash = sha256(bytes);
  if (config.weights_sha256 !== null && config.weights_sha256 !== hash) {
    throw weightError(
      weightsPath,
      `SHA-256 is ${hash}, expected ${config.weights_sha256} by ${SAE_CONFIG_FILE}`,
    );
  }
  return createSae({
    architecture: config.architecture,
    channels,
    latents,
    k: config.width ?? k,
    threshold: config.threshold,
    encoder,
    decoder,
    tap: config.hook_name,
    modelHash: config.model_weights_hash,
    meta: {
      arch: config.model_name,
      normFactor: config.norm_factor,
      trainedK: k,
      training: config.training,
    },
  });
}

/** What `matchSae` and the collection of features need of a model. */
export type TappedModel = Pick<BcosModel, 'spec' | 'segment' | 'stageNames'>;

/** Channels of the features at a tap. Throws FactError E_TAP_UNKNOWN, which names the nearest tap. */
export function tapChannels(model: Pick<TappedModel, 'segment'>, tap: string): number {
  const { shape } = model.segment(null, tap).outputs[0];
  return shape[shape.length - 1] as number;
}

function mismatch(what: string, remedy: string): FactError {
  return new FactError({ code: 'E_SAE_MISMATCH', message: what, remedy });
}

/**
 * Checks that an autoencoder belongs to a model: architecture and weights (where both know them), tap, channels.
 * Throws FactError E_SAE_MISMATCH that names both sides.
 */
export function matchSae(model: TappedModel, sae: Sae): void {
  const { arch, weightsHash } = model.spec;
  const taps = model.stageNames.slice(0, -1);
  const remedy = 'Use the autoencoder that was trained for this network, or train one with `fact sae train`.';
  if (sae.meta.arch !== null && sae.meta.arch !== arch) {
    throw mismatch(
      `the autoencoder (tap ${sae.tap}) was trained on ${sae.meta.arch}, the network is ${arch}`,
      remedy,
    );
  }
  if (!taps.includes(sae.tap)) {
    throw mismatch(
      `the autoencoder belongs at tap "${sae.tap}", the network ${arch} has: ${taps.join(', ')}`,
      remedy,
    );
  }
  const channels = tapChannels(model, sae.tap);
  if (channels !== sae.channels) {
    throw mismatch(
      `the autoencoder has ${sae.channels} channels, the network ${arch} has ${channels} at tap ${sae.tap}`,
      remedy,
    );
  }
  if (sae.modelHash !== null && weightsHash !== null && sae.modelHash !== weightsHash) {
    throw mismatch(
      `the autoencoder (tap ${sae.tap}) was trained on weights ${sae.modelHash.slice(0, 12)}…, the network ${arch} has weights ${weightsHash.slice(0, 12)}…`,
      remedy,
    );
  }
}
