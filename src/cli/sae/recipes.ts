import { existsSync } from 'node:fs';
import { join } from 'node:path';
import {
  loadSaeConfig,
  mergeChanges,
  resolveSaeConfig,
  type SaeTrainConfig,
} from '../../train/sae/config.js';
import { SAE_INITS, type SaeInit } from '../../train/sae/step/inits.js';
import { usageError } from '../context.js';
import { type ImageFlags, parseWhole } from './options.js';

export interface RecipeFlags extends ImageFlags {
  readonly config?: readonly string[];
  readonly out: string;
  readonly resume?: boolean;
  readonly tap?: string;
  readonly latents?: number;
  readonly k?: number;
  readonly epochs?: number;
  readonly batch?: number;
  readonly lr?: number;
  readonly seed?: number;
  readonly auxAlpha?: number;
  readonly positions?: 'all' | 'budget' | number;
  readonly holdOut?: number;
  readonly evaluateEvery?: number;
  readonly init?: SaeInit;
  readonly inits?: readonly InitChoice[];
  readonly dtype?: 'float32' | 'float16';
}

/** An initialisation of `--inits`, with the seed of its weights where one is given. */
export interface InitChoice {
  readonly init: SaeInit;
  readonly seed: number | null;
}

/** A run that a command line asks for. */
export interface PlannedRun {
  readonly config: SaeTrainConfig;
  readonly out: string;
  readonly resume: boolean;
}

function parseInit(text: string): InitChoice {
  const [name, seed] = text.split(':');
  const init = SAE_INITS.find((known) => known === name);
  if (init === undefined)
    throw usageError(`"${name}" is no initialisation`, `Choose among ${SAE_INITS.join(', ')}.`);
  return { init, seed: seed === undefined ? null : parseWhole(seed) };
}

/** Parses `linear,normal:3,data`. Throws FactError E_USAGE. */
export function parseInits(text: string): readonly InitChoice[] {
  return text.split(',').map((part) => parseInit(part.trim()));
}

function changesOf(flags: RecipeFlags): Record<string, unknown> {
  return {
    tap: flags.tap,
    latents: flags.latents,
    k: flags.k,
    epochs: flags.epochs,
    batchRows: flags.batch,
    learningRate: flags.lr,
    seed: flags.seed,
    init: flags.init,
    evaluateEvery: flags.evaluateEvery,
    dtype: flags.dtype,
    'aux.alpha': flags.auxAlpha,
    'features.holdOut': flags.holdOut,
    'features.positions': flags.positions,
    'features.split': flags.split,
    'features.imageBatch': flags.imageBatch,
    'features.workers': flags.workers,
  };
}

/** The recipes: files with the options on top, the options alone, or on resumption the run's own. */
function recipesOf(flags: RecipeFlags): SaeTrainConfig[] {
  const changes = changesOf(flags);
  if (flags.config !== undefined) return flags.config.map((path) => loadSaeConfig(path, changes));
  const kept = join(flags.out, 'config.yaml');
  if (flags.resume === true && existsSync(kept)) return [loadSaeConfig(kept, changes)];
  for (const name of ['tap', 'latents', 'k'] as const) {
    if (flags[name] === undefined)
      throw usageError(`no --${name} is given`, 'Give -c CONFIG.yaml, or --tap, --latents and --k.');
  }
  return [resolveSaeConfig(mergeChanges({}, changes), 'command line')];
}

/**
 * The runs of a command line: one in `--out`, or with several recipes or initialisations one in a folder of its own
 * each, OUT/TAP, OUT/INIT or OUT/TAP/INIT. Throws FactError E_USAGE, E_CONFIG.
 */
export function plannedRuns(flags: RecipeFlags): PlannedRun[] {
  const recipes = recipesOf(flags);
  const runs = recipes.flatMap((recipe): Omit<PlannedRun, 'resume'>[] => {
    const place = recipes.length > 1 ? join(flags.out, recipe.tap) : flags.out;
    if (flags.inits === undefined) return [{ config: recipe, out: place }];
    return flags.inits.map(({ init, seed }) => ({
      config: resolveSaeConfig({ ...recipe, init, initSeed: seed ?? recipe.initSeed }, '--inits'),
      out: join(place, seed === null ? init : `${init}-${seed}`),
    }));
  });
  const twice = runs.find(({ out }, i) => runs.findIndex((run) => run.out === out) < i);
  if (twice !== undefined)
    throw usageError(
      `two runs would write to ${twice.out}`,
      'Give each recipe a tap of its own, and each initialisation once.',
    );
  const isThere = runs.map(({ out }) => existsSync(join(out, 'config.yaml')));
  const isAnyThere = isThere.includes(true);
  return runs.map((run, i) => ({ ...run, resume: flags.resume === true && (isThere[i] || !isAnyThere) }));
}
