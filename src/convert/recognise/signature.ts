import { sha256 } from '../../core/hash.js';
import type { NamedTensor } from '../dtypes.js';

/** Name and shape of a tensor. */
export type NamedShape = Pick<NamedTensor, 'name' | 'shape'>;

/** What is kept of a network's state dict to know it again. */
export interface Signature {
  /** Networks of the registry with these names and shapes, the usual ones first, each with its number of classes. */
  readonly archs: readonly (readonly [name: string, classes: number])[];
  /** Rows of the head for each class (MaxOut). */
  readonly rows: number;
  /** Of all names and shapes in any order, counters and the number of classes aside. */
  readonly digest: string;
  /** Of the shapes of filters and matrices alone, for files that do not keep names. */
  readonly shapes: string;
  /** Names of the first tensor and of the head's weights: what prefixes of copies are found by. */
  readonly first: string;
  readonly head: string;
  /** The smallest hashes of single names and shapes, six hexadecimal digits each: how alike two networks are. */
  readonly sketch: string;
}

/** A signature as one line of text: fields by spaces, networks as `name=classes`. */
export function signatureLine(signature: Signature): string {
  const { digest, shapes, rows, first, head, sketch, archs } = signature;
  return [digest, shapes, rows, first, head, sketch, ...archs.map((arch) => arch.join('='))].join(' ');
}

/** The signatures of a text of such lines. */
export function parseSignatures(text: string): Signature[] {
  return text
    .trim()
    .split('\n')
    .map((line) => {
      const [digest, shapes, rows, first, head, sketch, ...archs] = line.split(' ');
      const named = archs.map((arch): [string, number] => {
        const [name, classes] = arch.split('=');
        return [name, Number(classes)];
      });
      return { digest, shapes, rows: Number(rows), first, head, sketch, archs: named };
    });
}

const HASH_DIGITS = 6;
const SKETCH_HASHES = 40;

/** Tensors that end in the class axis: its length is not part of a network's identity. */
const HEAD = /^(?:0\.)?(?:fc|head|classifier(?:\.\d+)?|linear_head\.linear)(?:\.linear)?\.(?:weight|bias)$/;
const COUNTERS = /(?:^|\.)(?:num_batches_tracked|n_averaged)$/;

/** Text of each tensor that counts: name and shape, the class axis replaced by a star. */
function linesOf(tensors: readonly NamedShape[]): string[] {
  return tensors
    .filter(({ name }) => !COUNTERS.test(name))
    .map(({ name, shape }) => `${name}:${HEAD.test(name) ? ['*', ...shape.slice(1)] : shape}`)
    .sort();
}

/** Digest of a state dict's names and shapes. */
export function digestOf(tensors: readonly NamedShape[]): string {
  return sha256(linesOf(tensors).join('\n')).slice(0, 16);
}

/** Sizes that stay the same when a 1x1 convolution becomes a matrix, transposed or not. */
export function canonicalShape(shape: readonly number[]): string {
  const isPoint = shape.length === 4 && shape[2] === 1 && shape[3] === 1;
  const core = isPoint ? shape.slice(0, 2) : shape;
  return (core.length === 2 ? [...core].sort((a, b) => a - b) : core).join('x');
}

/**
 * Digest of the shapes of filters and matrices in any order; the rows of the head are not part of it.
 * @param head index of the head's weights; -1: none
 */
export function shapesDigest(shapes: readonly (readonly number[])[], head: number): string {
  const lines = shapes.map((shape, i) => (i === head ? `*x${shape[1]}` : canonicalShape(shape)));
  return sha256(lines.sort().join('\n')).slice(0, 16);
}

/** The same of a state dict. */
export function shapesDigestOf(tensors: readonly NamedShape[]): string {
  const weights = tensors.filter(({ name, shape }) => name.endsWith('weight') && shape.length >= 2);
  const head = headOf(weights);
  return shapesDigest(
    weights.map(({ shape }) => shape),
    head === undefined ? -1 : weights.indexOf(head),
  );
}

/** The smallest hashes of a state dict's names and shapes. */
export function sketchOf(tensors: readonly NamedShape[]): string {
  const hashes = linesOf(tensors).map((line) => sha256(line).slice(0, HASH_DIGITS));
  return [...new Set(hashes)].sort().slice(0, SKETCH_HASHES).join('');
}

function hashesOf(sketch: string): string[] {
  return sketch.match(/.{6}/g) ?? [];
}

/** Share of names and shapes that two state dicts have in common, from 0 to 1, estimated from their sketches. */
export function likeness(a: string, b: string): number {
  const [left, right] = [new Set(hashesOf(a)), new Set(hashesOf(b))];
  const union = [...new Set([...left, ...right])].sort().slice(0, SKETCH_HASHES);
  if (union.length === 0) return 0;
  return union.filter((hash) => left.has(hash) && right.has(hash)).length / union.length;
}

/** The last weights that end in the class axis; undefined where there are none. */
export function headOf<T extends NamedShape>(tensors: readonly T[]): T | undefined {
  const heads = tensors.filter(({ name, shape }) => HEAD.test(name) && shape.length >= 2);
  return heads.toSorted((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true })).at(-1);
}
