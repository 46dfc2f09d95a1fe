import { FactError } from '../core/errors.js';
import { nearestName } from '../core/nearest.js';
import { bcosifiedEntries } from './catalogue/bcosified.js';
import { cifarEntries, convolutionalEntries } from './catalogue/convolutional.js';
import { standardEntries } from './catalogue/standard.js';
import { vitEntries } from './catalogue/vits.js';
import type { ModelEntry } from './modelEntry.js';

function index(entries: readonly ModelEntry[]): ReadonlyMap<string, ModelEntry> {
  const map = new Map<string, ModelEntry>();
  for (const item of entries) {
    if (map.has(item.name)) throw new Error(`the registry holds two networks named ${item.name}`);
    map.set(item.name, item);
  }
  return map;
}

const ENTRIES = index([
  ...convolutionalEntries(),
  ...vitEntries(),
  ...standardEntries(),
  ...bcosifiedEntries(),
  ...cifarEntries(),
]);

/** `vitc_s` for `vitc_s_patch1_14`: a name without the patch and image size at its end. */
const SHORT_NAMES: ReadonlyMap<string, string> = new Map(
  [...ENTRIES.keys()]
    .map((name): [string, string] => [name.replace(/_patch\d+_\d+$/, ''), name])
    .filter(([short, name]) => short !== name),
);

/** Every network that can be made by name, in a stable order. */
export function listModels(): readonly ModelEntry[] {
  return [...ENTRIES.values()];
}

/**
 * The entry of that name; names of ViTs may leave out the patch (`vitc_s`). Throws FactError E_MODEL_UNKNOWN that names
 * the nearest known one.
 */
export function modelEntry(arch: string): ModelEntry {
  const found = ENTRIES.get(SHORT_NAMES.get(arch) ?? arch);
  if (found !== undefined) return found;
  const nearest = nearestName(arch, [...ENTRIES.keys(), ...SHORT_NAMES.keys()]);
  throw new FactError({
    code: 'E_MODEL_UNKNOWN',
    message: `there is no architecture "${arch}"${nearest === undefined ? '' : `; the nearest is "${nearest}"`}`,
    remedy: `Known: ${[...ENTRIES.keys()].slice(0, 12).join(', ')}, ... (listModels() gives all).`,
    exitCode: 2,
  });
}
