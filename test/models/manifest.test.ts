import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createModel } from '../../src/models/createModel.js';
import { listModels } from '../../src/models/registry.js';
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
}

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
  const names = listModels()
    .map((entry) => entry.name)
    .filter((name) => name !== 'resnet');

  it('covers all CIFAR networks and all B-cos ResNets of the manifest', () => {
    const wanted = manifest.entries
      .filter((e) => /^(cifar10_resnet|resnet|resnext)/.test(e.name))
      .map((e) => e.name);
    expect([...names].sort()).toEqual([...wanted].sort());
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
  });
});
