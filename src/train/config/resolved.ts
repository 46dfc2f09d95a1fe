import { stringify } from 'yaml';
import { sha256 } from '../../core/hash.js';
import type { TrainConfig } from './schema.js';

/** The recipe as YAML with every key spelled out. */
export function formatConfig(config: TrainConfig): string {
  return stringify(config, { lineWidth: 110, aliasDuplicateObjects: false });
}

/** Keys that may change between a run and its resumption: they do not touch the numbers. */
const HARMLESS_KEYS = ['name', 'checkpoint', 'log', 'data.path', 'data.workers'];

function leaves(value: unknown, path = ''): [string, string][] {
  if (typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length > 0) {
    return Object.entries(value).flatMap(([key, inner]) =>
      leaves(inner, path === '' ? key : `${path}.${key}`),
    );
  }
  return [[path, JSON.stringify(value)]];
}

/** Keys that recipes of earlier versions do not have, with the value that means the same as their absence. */
const LATER_KEYS = new Map([
  ['bcos.b', 'null'],
  ['bcos.biasDecay', 'null'],
]);

function meaningful(config: TrainConfig): Map<string, string> {
  return new Map(
    leaves(config).filter(
      ([key, value]) =>
        LATER_KEYS.get(key) !== value && !HARMLESS_KEYS.some((h) => key === h || key.startsWith(`${h}.`)),
    ),
  );
}

/** SHA-256 of what in a recipe determines the numbers of a run. */
export function configHash(config: TrainConfig): string {
  return sha256(JSON.stringify([...meaningful(config)].sort(([a], [b]) => (a < b ? -1 : 1))));
}

/** Keys in which two recipes differ in a way that changes the numbers: `key: before -> now`. */
export function configDifferences(before: TrainConfig, now: TrainConfig): string[] {
  const a = meaningful(before);
  const b = meaningful(now);
  return [...new Set([...a.keys(), ...b.keys()])]
    .filter((key) => a.get(key) !== b.get(key))
    .map((key) => `${key}: ${a.get(key) ?? 'absent'} -> ${b.get(key) ?? 'absent'}`);
}
