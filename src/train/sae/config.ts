import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { stringify } from 'yaml';
import { z } from 'zod';
import { FactError, messageOf, systemCodeOf } from '../../core/errors.js';
import { nearestName } from '../../core/nearest.js';
import { configError } from '../config/errors.js';
import { parseYaml } from '../config/yaml.js';
import { SAE_INITS } from './step/inits.js';

const count = z.int().positive();
const notNegative = z.number().nonnegative();

/** Recipe of an autoencoder. Defaults are the reference's, but for the sizes, which depend on the network. */
export const saeTrainConfigSchema = z.strictObject({
  /** Stage of the network whose output is replaced by the reconstruction. */
  tap: z.string().min(1),
  /** Number of concepts. */
  latents: count,
  /** Concepts that stay active at a position. */
  k: count,
  /** Seed of the start, of the order of rows and of the draw of positions. */
  seed: z.int().nonnegative().default(0),
  epochs: count.default(16),
  /** Rows (feature vectors) per update. The reference has 32786, which needs gigabytes of memory. */
  batchRows: count.default(4096),
  learningRate: z.number().positive().default(0.001),
  /** The first weights: `linear` is the reference's; inits.ts says what each is. */
  init: z.enum(SAE_INITS).default('linear'),
  /** Seed of the first weights; null: `seed`. */
  initSeed: z.int().nonnegative().nullable().default(null),
  /** Epochs of linear warm-up from 0. */
  warmupEpochs: notNegative.default(1),
  /** Epochs after which the cosine decay to 0 begins; null: none. */
  decayAfterEpochs: notNegative.nullable().default(2),
  aux: z
    .strictObject({
      /** Weight of the auxiliary loss that revives dead concepts; 0 leaves it out. */
      alpha: notNegative.default(1 / 32),
      /** Most dead concepts that it uses per row. */
      k: count.default(256),
      /** A concept is dead after this share of all rows without firing. */
      deadAfter: z.number().positive().default(0.5),
    })
    .prefault({}),
  features: z
    .strictObject({
      /** Split of the data set that features are taken from, without augmentation. */
      split: z.enum(['train', 'val', 'test']).default('train'),
      /** Images of each class that are kept apart to measure on, at most a tenth of the class; 0: none. */
      holdOut: z.int().nonnegative().default(50),
      /** Positions kept per image: `all`, `budget` (72 * 512 / channels, drawn by contribution) or a number. */
      positions: z.union([z.literal('all'), z.literal('budget'), count]).default('budget'),
      /** Images per batch of the network. */
      imageBatch: count.default(64),
      /** Decoding threads. */
      workers: z.int().nonnegative().default(1),
      /** On the fly: images whose rows are shuffled together. */
      blockImages: count.default(1024),
    })
    .prefault({}),
  architecture: z.enum(['topk', 'batchtopk', 'archetypal']).default('topk'),
  /** Options of architecture `batchtopk`. */
  batchTopK: z
    .strictObject({
      /** Share of the running threshold that stays at each update. */
      thresholdMemory: z.number().min(0).max(0.9999999).default(0.999),
      /** Updates before the threshold is measured; null: 1000, at most half of all. */
      thresholdStart: z.int().nonnegative().nullable().default(null),
      /** Most concepts that a position may have once trained; null: as many as the training features need. */
      width: count.nullable().default(null),
    })
    .prefault({}),
  /** Options of architecture `archetypal`. */
  archetypal: z
    .strictObject({
      /** Feature vectors that span the hull. */
      points: count.default(2048),
      /** How they are found. */
      choice: z.enum(['kmeans', 'rows']).default('kmeans'),
      /** Longest deviation of a direction from the hull, in units of the norm factor. */
      relaxation: notNegative.default(0.1),
    })
    .prefault({}),
  /** Epochs between two measurements of the spliced network's accuracy on the images held out. */
  evaluateEvery: count.default(2),
  /** Updates between two checkpoints, beside the one at each epoch's end. */
  checkpointEvery: count.default(500),
  /** Updates between two rows of metrics.jsonl. */
  logEvery: count.default(20),
  /** Storage of the saved weights. */
  dtype: z.enum(['float32', 'float16']).default('float32'),
});
export type SaeTrainConfig = z.infer<typeof saeTrainConfigSchema>;

/** Settings that a resumed run may change: they do not touch the weights. */
const FREE_KEYS = ['checkpointEvery', 'logEvery', 'dtype', 'evaluateEvery', 'features.workers'];

function knownKeys(path: readonly PropertyKey[]): string[] {
  let schema: z.ZodType | undefined = saeTrainConfigSchema;
  for (const key of path) {
    schema = schema instanceof z.ZodObject ? (schema.shape[String(key)] as z.ZodType | undefined) : undefined;
    while (schema instanceof z.ZodPrefault || schema instanceof z.ZodDefault)
      schema = schema.unwrap() as z.ZodType;
  }
  return schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
}

/** Checks plain data and fills in defaults. `where` names its origin. Throws FactError E_CONFIG. */
export function resolveSaeConfig(
  value: unknown,
  where: string,
  lineOf?: (path: readonly PropertyKey[]) => number,
): SaeTrainConfig {
  const parsed = saeTrainConfigSchema.safeParse(value);
  if (parsed.success) {
    const { k, latents, architecture, init } = parsed.data;
    if (k > latents) {
      throw configError(where, `"k" is ${k}, more than the ${latents} "latents"`, 'Choose a smaller k.');
    }
    if (architecture === 'archetypal' && init !== 'linear') {
      throw configError(
        where,
        `"init" is ${init}, but the start of an archetypal autoencoder is made of feature vectors`,
        'Leave "init" out; "initSeed" gives other starts.',
      );
    }
    return parsed.data;
  }
  const { issues } = parsed.error;
  const issue = issues.find((i) => i.code === 'unrecognized_keys') ?? issues[0];
  const place = (path: readonly PropertyKey[]) => (lineOf === undefined ? where : `${where}:${lineOf(path)}`);
  if (issue.code === 'unrecognized_keys') {
    const known = knownKeys(issue.path);
    const near = nearestName(issue.keys[0], known);
    throw configError(
      place([...issue.path, issue.keys[0]]),
      `unknown key "${[...issue.path, issue.keys[0]].join('.')}"`,
      near === undefined ? `Known keys here: ${known.join(', ')}.` : `Did you mean "${near}"?`,
    );
  }
  throw configError(
    place(issue.path),
    `"${issue.path.join('.')}": ${issue.message}`,
    'Correct the value; docs/sae.md explains each key.',
  );
}

/** Reads a recipe (YAML) and replaces keys by `changes`; those win over the file. Throws FactError E_CONFIG. */
export function loadSaeConfig(path: string, changes: Readonly<Record<string, unknown>> = {}): SaeTrainConfig {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const isMissing = systemCodeOf(error) === 'ENOENT';
    throw configError(
      path,
      isMissing ? 'no such file' : `cannot be read: ${messageOf(error)}`,
      'Check the path; recipes lie in configs/sae.',
    );
  }
  const name = basename(path);
  const { value, lineOf } = parseYaml(text, name);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw configError(name, 'the file holds no mapping of keys', 'Start from a recipe in configs/sae.');
  }
  return resolveSaeConfig(mergeChanges(value as Record<string, unknown>, changes), name, lineOf);
}

/** Changes by dotted key (`features.positions`) on top of plain data; undefined changes nothing. */
export function mergeChanges(
  value: Readonly<Record<string, unknown>>,
  changes: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const result = structuredClone(value) as Record<string, unknown>;
  for (const [key, change] of Object.entries(changes)) {
    if (change === undefined) continue;
    const [first, second] = key.split('.');
    if (second === undefined) result[first] = change;
    else result[first] = { ...(result[first] as object | undefined), [second]: change };
  }
  return result;
}

/** The recipe as YAML with every default spelled out. */
export function formatSaeConfig(config: SaeTrainConfig): string {
  return stringify(config);
}

/** The recipe's values by dotted key. */
function flatten(config: SaeTrainConfig): Map<string, unknown> {
  const entries = Object.entries(config).flatMap(([key, value]): [string, unknown][] =>
    typeof value === 'object' && value !== null
      ? Object.entries(value).map(([inner, v]) => [`${key}.${inner}`, v])
      : [[key, value]],
  );
  return new Map(entries);
}

/** Refuses a resumption with another recipe. Throws FactError E_CONFIG_CHANGED that names the keys. */
export function checkSameSaeConfig(before: SaeTrainConfig, now: SaeTrainConfig, folder: string): void {
  const [old, wanted] = [flatten(before), flatten(now)];
  const changed = [...wanted].filter(([key, value]) => !FREE_KEYS.includes(key) && old.get(key) !== value);
  if (changed.length === 0) return;
  throw new FactError({
    code: 'E_CONFIG_CHANGED',
    message: `${folder}: the recipe changed since the run was started: ${changed
      .map(([key, value]) => `${key}: ${JSON.stringify(old.get(key))} -> ${JSON.stringify(value)}`)
      .join('; ')}`,
    remedy: 'Resume with the same recipe, or start a new run with another --out.',
  });
}
