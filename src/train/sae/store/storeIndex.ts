/*
 * store.json: what a store of features is, where it comes from, and its shards in their order. It is written last: a
 * folder without it is not finished.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { FactError, messageOf, systemCodeOf } from '../../../core/errors.js';
import { damaged, notAStore } from './storeErrors.js';

export const STORE_FILE = 'store.json';
export const STORE_FORMAT = 'fact-feature-store';
export const STORE_VERSION = 1;
/** Index of the folders that versions before the store wrote. */
const OLD_FILE = 'features.json';

const whole = z.int().nonnegative();
const count = z.int().positive();
const hash = z.string().regex(/^[0-9a-f]{64}$/);
/** A name without any way out of its folder. */
const plainName = z.string().regex(/^(?!\.)[\w.-]+$/);

const shardSchema = z.strictObject({
  file: plainName,
  rows: count,
  bytes: count,
  sha256: hash,
  /** CRC-32 of each 4 MiB (blockSums.ts). */
  blocks: z.string().regex(/^([0-9a-f]{8})+$/),
});
const tapSchema = z.strictObject({
  tap: z.string(),
  /** Folder of the shards. */
  folder: plainName,
  channels: count,
  /** Positions of an image, and how many are kept by which rule. */
  positions: count,
  kept: count,
  rule: z.union([z.literal('all'), z.literal('budget'), count]),
  rows: count,
  /** Root of the mean squared norm of all rows. */
  rmsNorm: z.number().nonnegative(),
  shards: z.array(shardSchema).min(1),
});
const indexSchema = z.strictObject({
  format: z.literal(STORE_FORMAT),
  version: z.literal(STORE_VERSION),
  dtype: z.enum(['f32', 'f16']),
  network: z.strictObject({ arch: z.string(), weightsHash: z.string().nullable() }),
  data: z.strictObject({ split: z.enum(['train', 'val', 'test']).nullable(), images: count, keysHash: hash }),
  /** [height, width] that the network saw. */
  imageSize: z.tuple([count, count]),
  seed: whole,
  /** Images whose features are here, broken ones apart. */
  images: count,
  /** Disk budget by which they were drawn; null: every image that is not held out was wanted. */
  maxBytes: z.number().positive().nullable(),
  holdOut: z.strictObject({ perClass: whole, seed: whole, keys: z.array(z.string()) }),
  broken: z.array(z.strictObject({ image: whole, key: z.string(), code: z.string() })),
  taps: z.array(tapSchema).min(1),
});

export type StoreIndex = z.infer<typeof indexSchema>;
export type StoreTap = StoreIndex['taps'][number];
export type StoreShard = StoreTap['shards'][number];

function readText(folder: string): string {
  const path = join(folder, STORE_FILE);
  const tryRead = (file: string): string | null => {
    try {
      return readFileSync(file, 'utf8');
    } catch (error) {
      if (['ENOENT', 'ENOTDIR'].includes(systemCodeOf(error) ?? '')) return null;
      throw notAStore(`${file} cannot be read: ${messageOf(error)}`, 'Check the path and its permissions.');
    }
  };
  const text = tryRead(path);
  if (text !== null) return text;
  if (tryRead(join(folder, OLD_FILE)) !== null) {
    throw notAStore(
      `${folder} holds features of an earlier version (${OLD_FILE})`,
      'Write them again with `fact sae features`.',
    );
  }
  throw notAStore(
    `${folder} is no finished store of features: there is no ${STORE_FILE}`,
    'Give a folder that `fact sae features` wrote; if it was stopped, the same command goes on.',
  );
}

/**
 * Reads and checks the index of a store; `text` is what it was read from.
 * Throws FactError E_STORE_MISSING, E_STORE_VERSION, E_STORE_DAMAGED.
 */
export function readStoreIndex(folder: string): { index: StoreIndex; text: string } {
  const path = join(folder, STORE_FILE);
  const text = readText(folder);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw damaged(path, null, `not JSON: ${messageOf(error)}`, error);
  }
  const { format, version } = (value ?? {}) as { format?: unknown; version?: unknown };
  if (format === STORE_FORMAT && typeof version === 'number' && version > STORE_VERSION) {
    throw new FactError({
      code: 'E_STORE_VERSION',
      message: `${path} has schema version ${version}, this program reads ${STORE_VERSION}`,
      remedy: 'Update fact-tfjs, or write the store again with this version.',
    });
  }
  const parsed = indexSchema.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw damaged(path, null, `"${issue.path.join('.')}": ${issue.message}`);
  }
  for (const { tap, rows, shards } of parsed.data.taps) {
    const sum = shards.reduce((total, shard) => total + shard.rows, 0);
    if (sum !== rows) throw damaged(path, null, `tap ${tap}: "rows" is ${rows}, its shards hold ${sum}`);
  }
  return { index: parsed.data, text };
}

/** The tap of a store that is meant. Throws FactError E_STORE_TAP. */
export function chooseTap(folder: string, index: StoreIndex, tap: string | undefined): StoreTap {
  const names = index.taps.map((entry) => entry.tap);
  const found =
    tap === undefined
      ? index.taps.length === 1 && index.taps[0]
      : index.taps.find((entry) => entry.tap === tap || entry.tap === tap.replace(/^0\./, ''));
  if (found) return found;
  throw new FactError({
    code: 'E_STORE_TAP',
    message: `${folder} holds features at ${names.join(', ')}${tap === undefined ? '' : `, not at "${tap}"`}`,
    remedy: 'Name one of them with --tap.',
    exitCode: 2,
  });
}
