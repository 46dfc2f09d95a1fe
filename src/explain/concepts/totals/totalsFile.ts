/*
 * The totals of a pass as a safetensors file that other programs can read: tensors "concepts.presence",
 * "pairs.predicted.sums", "tops.contribution.sample" ...; what they are of and how far the pass is stands in the header's
 * metadata. A hash over all tensors keeps a damaged file from being gone on with.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import type { NamedTensor } from '../../../convert/dtypes.js';
import { readSafetensors, writeSafetensors } from '../../../convert/safetensors.js';
import { FactError, messageOf } from '../../../core/errors.js';
import type { SkippedImage } from '../../report/report.js';
import { skippedSchema } from '../../report/sharedSchema.js';
import { ConceptTotals, type TotalsColumns, type TotalsShape } from './totals.js';

type Numbers = Float32Array | Float64Array | Int32Array | Uint32Array;

const TYPES = {
  float32: Float32Array,
  float64: Float64Array,
  int32: Int32Array,
  uint32: Uint32Array,
} as const;

/** How far a pass is. */
export interface PassPlace {
  /** First batch that is not counted. */
  readonly nextBatch: number;
  readonly isDone: boolean;
  /** Images that could not be read. */
  readonly skipped: readonly SkippedImage[];
}

/** What a pass is of: plain JSON; equal keys give equal totals. */
export interface PassKey {
  readonly format: 'fact-concept-totals';
  readonly version: 1;
  /** SHA-256 of the network's weights and of the autoencoder's. */
  readonly model: string;
  readonly autoencoder: string;
  readonly tap: string;
  /** SHA-256 over the data set's names, labels and sizes. */
  readonly data: string;
  readonly imageSize: readonly [number, number];
  readonly resize: number;
  readonly perConcept: number;
  /** These change the last bits only. */
  readonly imageBatch: number;
  readonly engine: string;
}

export interface StoredTotals {
  readonly key: PassKey;
  readonly place: PassPlace;
  readonly totals: ConceptTotals;
}

const metaSchema = z.strictObject({
  key: z.strictObject({
    format: z.literal('fact-concept-totals'),
    version: z.literal(1),
    model: z.string(),
    autoencoder: z.string(),
    tap: z.string(),
    data: z.string(),
    imageSize: z.tuple([z.number().int().min(1), z.number().int().min(1)]),
    resize: z.number().int().min(1),
    perConcept: z.number().int().min(1),
    imageBatch: z.number().int().min(1),
    engine: z.string(),
  }),
  place: z.strictObject({
    nextBatch: z.number().int().min(0),
    isDone: z.boolean(),
    skipped: z.array(skippedSchema),
  }),
  shape: z.strictObject({
    concepts: z.number().int().min(1),
    classes: z.number().int().min(1),
    places: z.number().int().min(1),
  }),
  k: z.number().int().min(1),
});

function isNumbers(value: unknown): value is Numbers {
  return Object.values(TYPES).some((type) => value instanceof type);
}

/** Arrays of nested objects by dotted name, in their order. */
function flatten(value: unknown, name = ''): [string, Numbers][] {
  if (isNumbers(value)) return [[name, value]];
  return Object.entries(value as object).flatMap(([key, child]) =>
    flatten(child, name === '' ? key : `${name}.${key}`),
  );
}

function tensorOf([name, values]: [string, Numbers]): NamedTensor {
  const dtype = (Object.keys(TYPES) as (keyof typeof TYPES)[]).find((type) => values instanceof TYPES[type]);
  if (dtype === undefined) throw new Error(`${name} holds no numbers`);
  return {
    name,
    dtype,
    shape: [values.length],
    bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
  };
}

function sealOf(meta: string, tensors: readonly NamedTensor[]): string {
  const hash = createHash('sha256').update(meta);
  for (const { name, bytes } of tensors) hash.update(name).update(bytes);
  return hash.digest('hex');
}

/** Writes totals, all or nothing. Throws FactError E_WRITE. */
export function writeTotals(path: string, stored: StoredTotals, k: number): void {
  const { key, place, totals } = stored;
  const meta = JSON.stringify({ key, place, shape: totals.shape, k });
  const tensors = flatten(totals.toColumns()).map(tensorOf);
  writeSafetensors(
    path,
    tensors,
    new Map([
      ['about', meta],
      ['sha256', sealOf(meta, tensors)],
    ]),
  );
}

function damaged(path: string, what: string, cause?: unknown): FactError {
  return new FactError({
    code: 'E_CONCEPTS_STATE',
    message: `${path} cannot be gone on with: ${what}`,
    remedy: 'It is damaged or of another version: remove it (or its folder) and run the command again.',
    cause,
  });
}

/** The arrays of a file in the nesting of `template`; a copy, which the caller may change. */
function unflatten<T>(template: T, found: ReadonlyMap<string, NamedTensor>, path: string, name = ''): T {
  if (isNumbers(template)) {
    const tensor = found.get(name);
    const type = Object.values(TYPES).find((one) => template instanceof one);
    if (tensor === undefined || type === undefined) throw damaged(path, `it has no ${name}`);
    if (TYPES[tensor.dtype as keyof typeof TYPES] !== type) throw damaged(path, `${name} is ${tensor.dtype}`);
    return new type(new Uint8Array(tensor.bytes).buffer) as T;
  }
  return Object.fromEntries(
    Object.entries(template as object).map(([key, child]) => [
      key,
      unflatten(child, found, path, name === '' ? key : `${name}.${key}`),
    ]),
  ) as T;
}

/** Totals that `writeTotals` wrote; null where there is no such file. Throws FactError E_CONCEPTS_STATE. */
export function readTotals(path: string): StoredTotals | null {
  if (!existsSync(path)) return null;
  try {
    const { tensors, metadata } = readSafetensors(readFileSync(path), path);
    const text = metadata.get('about') ?? '';
    if (metadata.get('sha256') !== sealOf(text, tensors)) throw damaged(path, 'its hash differs');
    const { key, place, shape, k } = metaSchema.parse(JSON.parse(text));
    const template = new ConceptTotals({ concepts: 1, classes: 1, places: 1 }, 1).toColumns();
    const columns = unflatten<TotalsColumns>(template, new Map(tensors.map((t) => [t.name, t])), path);
    checkLengths(path, columns, shape);
    return { key, place, totals: new ConceptTotals(shape, k, columns) };
  } catch (error) {
    if (error instanceof FactError && error.code === 'E_CONCEPTS_STATE') throw error;
    throw damaged(path, messageOf(error).split('\n')[0], error);
  }
}

/** Lists and pairs check their own lengths; here the rest. */
function checkLengths(path: string, columns: TotalsColumns, { concepts, classes }: TotalsShape): void {
  const wanted = [
    { part: { counts: columns.counts }, length: 3 },
    { part: columns.concepts, length: concepts },
    { part: columns.classes.predicted, length: classes },
    { part: columns.classes.labelled, length: classes },
  ];
  for (const { part, length } of wanted)
    for (const [name, values] of Object.entries(part))
      if (values.length !== length)
        throw damaged(path, `${name} has ${values.length} values, expected ${length}`);
}
