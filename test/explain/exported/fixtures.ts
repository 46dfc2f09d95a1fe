import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { toPlanes } from '../../../src/explain/exported/check.js';
import {
  type ExportModelOptions,
  type ExportSource,
  exportModel,
} from '../../../src/explain/exported/exportModel.js';
import { ExportedFile, type OutputArray } from '../../../src/explain/exported/file.js';
import { randomImage } from '../fixtures.js';

/** Every flag of a file with two autoencoders. */
export const ALL = [
  'want_contributions',
  'want_class_map',
  'want_concept_maps',
  'want_traces',
  'want_alone',
] as const;

/** Exports below a folder that goes after the tests of the calling file; opened files are closed then. */
export function useExports() {
  const folder = mkdtempSync(join(tmpdir(), 'fact-export-'));
  const opened: ExportedFile[] = [];
  afterAll(async () => {
    for (const file of opened) await file.close();
    rmSync(folder, { recursive: true, force: true });
  });
  let count = 0;
  const write = (source: ExportSource, options: Partial<ExportModelOptions> = {}): string => {
    const path = join(folder, `${count++}.onnx`);
    writeFileSync(path, exportModel(source, { packageVersion: 'test', ...options }).bytes);
    return path;
  };
  const open = async (source: ExportSource, options: Partial<ExportModelOptions> = {}) => {
    const file = await ExportedFile.open(write(source, options), { threads: 1 });
    opened.push(file);
    return file;
  };
  return { folder, write, open };
}

/** Random pictures as one array [N, 3, H, W] in [0, 1]. */
export function planesOf(seeds: readonly number[], size?: number): Float32Array {
  const all = seeds.map((seed) => toPlanes(randomImage(seed, null, size).pixels));
  const joined = new Float32Array(all.length * all[0].length);
  all.forEach((planes, i) => {
    joined.set(planes, i * planes.length);
  });
  return joined;
}

/** Row `i` of an output. */
export function rowOf({ dims, data }: OutputArray, i: number): OutputArray['data'] {
  const length = data.length / dims[0];
  return data.slice(i * length, (i + 1) * length);
}
