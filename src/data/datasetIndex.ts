import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { FactError, messageOf } from '../core/index.js';

const schema = z.object({
  classes: z.array(z.union([z.string(), z.object({ wnid: z.string(), name: z.string() })])).min(1),
  shards: z
    .record(
      z.string(),
      z.object({
        images: z.number().int().nonnegative(),
        bytes: z.number().int().nonnegative(),
        sha256: z.string().optional(),
      }),
    )
    .default({}),
});

/** Content of a data set's `index.json`. */
export interface DatasetIndex {
  readonly path: string;
  readonly classNames: readonly string[];
  /** WordNet ids in class order, where the index gives them. */
  readonly classIds: readonly string[] | null;
  readonly shards: Readonly<
    Record<string, { readonly images: number; readonly bytes: number; readonly sha256?: string }>
  >;
}

function bad(path: string, reason: string, cause?: unknown): FactError {
  return new FactError({
    code: 'E_DATA_INDEX',
    message: `${path} is not a data set index: ${reason}`,
    remedy: 'It holds {"classes": [names, or {"wnid", "name"}], "shards": {file: {"images", "bytes"}}}.',
    cause,
  });
}

/**
 * Reads `index.json` of a data set's folder: classes (names, or pairs of WordNet id and name) and what each shard holds.
 * Null where there is none. Throws FactError E_DATA_INDEX.
 */
export function readDatasetIndex(folder: string): DatasetIndex | null {
  const path = join(folder, 'index.json');
  if (!existsSync(path)) return null;
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw bad(path, messageOf(error), error);
  }
  const result = schema.safeParse(json);
  if (!result.success) {
    const issue = result.error.issues[0];
    throw bad(path, `${issue.path.join('.') || 'top level'}: ${issue.message}`);
  }
  const { classes, shards } = result.data;
  const ids = classes.map((c) => (typeof c === 'string' ? null : c.wnid));
  return {
    path,
    classNames: classes.map((c) => (typeof c === 'string' ? c : c.name)),
    classIds: ids.every((id) => id !== null) ? ids : null,
    shards,
  };
}
