/** The verbs that manyImages.ts interrupts and kills, and what of their results must not depend on that. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { sha256 } from '../src/core/hash.js';

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
  readonly sae: string;
  /** Class folders. */
  readonly data: string;
}

const NONE = /^$/;

export function faultJobs({ model, sae, data }: FaultCase): Readonly<Record<string, FaultJob>> {
  const job = (words: FaultJob['words'], differs = NONE, more: readonly string[] = []): FaultJob => ({
    words,
    again: (out) => [...words(out), ...more],
    differs,
  });
  const small = ['--tap', 'layer3', '--latents', '512', '--k', '8', '--epochs', '2', '--batch', '1024'];
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
    graph: job((out) => ['concepts', 'graph', '--model', model, '--data-dir', data, '--out', out]),
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
