/** The verbs that manyImages.ts interrupts and kills, and what of their results must not depend on that. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { sha256 } from '../src/core/hash.js';
import { createSae, saveSae, tapChannels } from '../src/explain/sae.js';
import { createModel } from '../src/models/index.js';
import { saveModel } from '../src/models/saveModel.js';
import { startWeights } from '../src/train/sae/step/inits.js';

export interface FaultJob {
  /** Words behind `fact`. */
  readonly words: (out: string) => string[];
  /** The same for going on. */
  readonly again: (out: string) => string[];
  /** Files that hold times, or what was done by which process. */
  readonly differs: RegExp;
}

export interface FaultCase {
  readonly model: string;
  /** At its last tap but one, and at its last. */
  readonly saes: readonly [string, string];
  /** Class folders. */
  readonly data: string;
}

const TAPS = ['layer2', 'layer3'] as const;

/** A small random network (three blocks, 32 x 32) and autoencoders at two of its taps, in `folder`: decoding takes longest. */
export async function drawNetwork(folder: string, classes: number): Promise<Omit<FaultCase, 'data'>> {
  await tf.setBackend('cpu');
  const size: [number, number] = [32, 32];
  const model = createModel('cifar10_resnet_20', {
    width: 8,
    blocks: [1, 1, 1],
    numClasses: classes,
    inputSize: 32,
    preprocessing: { resize: 32, crop: size },
    seed: 3,
  });
  const home = join(folder, 'model');
  const modelHash = await saveModel(model.network, model.spec, home, 'float32');
  const saes: string[] = [];
  for (const tap of TAPS) {
    const sizes = { channels: tapChannels(model, tap), latents: 64 };
    const weights = startWeights('linear', { ...sizes, seed: 1 });
    const sae = createSae({ ...sizes, k: 4, ...weights, tap, modelHash, meta: { arch: model.spec.arch } });
    saes.push(join(folder, tap));
    await saveSae(saes[saes.length - 1], sae);
    sae.dispose();
  }
  model.dispose();
  return { model: home, saes: [saes[0], saes[1]] };
}

const NONE = /^$/;

export function faultJobs({ model, saes, data }: FaultCase): Readonly<Record<string, FaultJob>> {
  const job = (words: FaultJob['words'], differs = NONE, more: readonly string[] = []): FaultJob => ({
    words,
    again: (out) => [...words(out), ...more],
    differs,
  });
  const [early, sae] = saes;
  const small = ['--tap', 'layer3', '--latents', '128', '--k', '8', '--epochs', '2', '--batch', '2048'];
  const concepts = ['--model', model, '--sae', sae, '--data-dir', data];
  return {
    predict: job((out) => ['predict', data, '--model', model, '--out', out]),
    features: job((out) => [
      ...['sae', 'features', model, '--tap', 'layer2', '--tap', 'layer3', '--positions', '8'],
      ...['--hold-out', '10', '--data-dir', data, '--out', out],
    ]),
    train: job(
      (out) => ['sae', 'train', model, ...small, '--on-the-fly', '--data-dir', data, '--out', out],
      /(^|\/)(summary\.csv|metrics\.jsonl|events\..*|checkpoint\.safetensors)$/,
      ['--resume'],
    ),
    eval: job((out) => ['sae', 'eval', model, sae, '--data-dir', data, '--out', out]),
    gallery: job((out) => ['concepts', 'gallery', ...concepts, '--top', '20', '--out', out]),
    graph: job((out) => ['concepts', 'graph', ...concepts, '--sae', early, '--out', out]),
  };
}

/** SHA-256 of each file of a result (a file or a folder), but for those that may differ. */
export function resultHashes(path: string, differs: RegExp): Map<string, string> {
  if (statSync(path).isFile()) return new Map([['', sha256(readFileSync(path))]]);
  const files = readdirSync(path, { recursive: true, encoding: 'utf8' })
    .filter((name) => statSync(join(path, name)).isFile() && !differs.test(name))
    .sort();
  return new Map(files.map((name) => [name, sha256(readFileSync(join(path, name)))]));
}
