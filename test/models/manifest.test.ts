import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createModel } from '../../src/models/createModel.js';
import { PUBLISHED } from '../../src/models/published.js';
import { listModels, modelEntry } from '../../src/models/registry.js';
import { useEngine } from '../engine.js';
import { goldensFolder } from '../goldens/format.js';

interface ManifestEntry {
  readonly name: string;
  readonly parameters: number;
  readonly bufferElements: number;
  readonly numClasses: number;
  readonly logitBias: number | null;
  readonly logitTemperature: number | null;
  readonly stateDict: number;
  readonly bcos: boolean;
  readonly published?: { readonly top1: number; readonly top5: number };
  readonly weights?: { readonly file: string };
}

/** Networks whose names and shapes come from another publication; they have tests of their own. */
const ELSEWHERE: ReadonlySet<string> = new Set(['dinov2_vits14']);

useEngine('cpu');
const folder = goldensFolder();
const dispose: (() => void)[] = [];
afterEach(() => {
  for (const fn of dispose.splice(0)) fn();
});

describe.skipIf(folder === null)('every network of the registry', () => {
  const manifest: {
    entries: ManifestEntry[];
    stateDicts: [string, number[], string?][][];
  } =
    folder === null
      ? { entries: [], stateDicts: [] }
      : JSON.parse(readFileSync(join(folder, 'bcos', 'manifest.json'), 'utf8'));
  /** B-cosified twins and torchvision's DenseNets are no networks of B-cos-v2 either. */
  const isElsewhere = (name: string): boolean =>
    ELSEWHERE.has(name) || /^(bcosified_|torchvision_densenet)/.test(name);
  const names = listModels()
    .filter((entry) => !entry.general && !isElsewhere(entry.name))
    .map((entry) => entry.name);

  it('is in the manifest, and the other way round', () => {
    expect([...names].sort()).toEqual(manifest.entries.map((e) => e.name).sort());
  });

  it('has the published facts of the manifest', () => {
    const facts = manifest.entries.flatMap((e) =>
      e.published === undefined || e.weights === undefined
        ? []
        : [[e.name, e.published.top1, e.published.top5, e.parameters, e.weights.file]],
    );
    const known = Object.entries(PUBLISHED).map(([name, p]) => [name, p.top1, p.top5, p.parameters, p.file]);
    expect(known).toEqual(facts);
    expect(facts.map(([name]) => modelEntry(String(name)).published)).toEqual(Object.values(PUBLISHED));
  });

  it.each(names)('%s has the names, order, shapes and counts of the manifest', (name) => {
    const wanted = manifest.entries.find((entry) => entry.name === name) as ManifestEntry;
    const model = createModel(name, { weights: 'zero' });
    dispose.push(() => model.dispose());
    const rows = model.stateDict().map((entry) => {
      const kind = entry.dtype === 'int64' ? ['i64'] : entry.isParameter ? [] : ['b'];
      return [entry.name, entry.shape, ...kind];
    });
    expect(rows).toEqual(manifest.stateDicts[wanted.stateDict]);
    expect(model.countParameters()).toBe(wanted.parameters);
    expect(model.spec.logitBias).toBe(wanted.logitBias);
    expect(model.spec.temperature).toBe(wanted.logitTemperature);
    expect(model.spec.options.numClasses).toBe(wanted.numClasses);
    expect(modelEntry(name).bcos).toBe(wanted.bcos);
  });
});
