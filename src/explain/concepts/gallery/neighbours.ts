import * as tf from '@tensorflow/tfjs';
import type { Sae } from '../../sae.js';
import type { ConceptTotals } from '../totals/totals.js';
import { PAIR_SUMS } from '../totals/totals.js';
import type { Neighbour } from './gallerySchema.js';

/** Concepts that are compared with all others in one product. */
const BLOCK = 256;

const POSITIVE = PAIR_SUMS.indexOf('positive');

/** Rows [rows, width] scaled to length 1; rows of zeros stay. */
function unitRows(values: Float32Array, rows: number, width: number): Float32Array {
  for (let r = 0; r < rows; r++) {
    let squares = 0;
    for (let i = r * width; i < (r + 1) * width; i++) squares += values[i] ** 2;
    if (squares === 0) continue;
    const factor = 1 / Math.sqrt(squares);
    for (let i = r * width; i < (r + 1) * width; i++) values[i] *= factor;
  }
  return values;
}

/** The `count` rows most like each wanted row, itself left out, by cosine; only rows with `isActive`; ties by number. */
export function nearestRows(
  table: Float32Array,
  width: number,
  wanted: readonly number[],
  isActive: (row: number) => boolean,
  count: number,
): Neighbour[][] {
  const rows = table.length / width;
  const unit = unitRows(Float32Array.from(table), rows, width);
  const all = tf.tensor2d(unit, [rows, width]);
  const found: Neighbour[][] = [];
  try {
    for (let start = 0; start < wanted.length; start += BLOCK) {
      const block = wanted.slice(start, start + BLOCK);
      const cosines = tf.tidy(() => {
        const part = tf.gather(all, tf.tensor1d(block, 'int32'));
        return tf.matMul(part, all, false, true).dataSync();
      }) as Float32Array;
      block.forEach((own, i) => {
        const row = cosines.subarray(i * rows, (i + 1) * rows);
        const best = largest(row, count, (other) => other !== own && isActive(other));
        found.push(exact(best, own, table, width));
      });
    }
  } finally {
    all.dispose();
  }
  return found;
}

/** The same concepts with their cosines in float64, which do not depend on how many were compared at once. */
function exact(best: readonly number[], own: number, table: Float32Array, width: number): Neighbour[] {
  const dot = (a: number, b: number): number => {
    let sum = 0;
    for (let i = 0; i < width; i++) sum += table[a * width + i] * table[b * width + i];
    return sum;
  };
  return best
    .map((concept) => {
      const cosine = dot(own, concept) / Math.sqrt(dot(own, own) * dot(concept, concept));
      return { concept, cosine: Math.min(1, cosine) };
    })
    .sort((a, b) => b.cosine - a.cosine || a.concept - b.concept);
}

/** Indices of the largest positive values of a row among those allowed, falling, ties by index. */
function largest(row: Float32Array, count: number, isAllowed: (i: number) => boolean): number[] {
  const best: number[] = [];
  row.forEach((value, i) => {
    if (!(value > 0) || !isAllowed(i)) return;
    if (best.length === count && value <= row[best[best.length - 1]]) return;
    if (best.length === count) best.pop();
    const at = best.findIndex((other) => value > row[other]);
    best.splice(at < 0 ? best.length : at, 0, i);
  });
  return best;
}

/** Concepts whose decoder columns point most nearly the same way, for each wanted concept. */
export async function decoderNeighbours(
  sae: Sae,
  totals: ConceptTotals,
  wanted: readonly number[],
  count: number,
): Promise<Neighbour[][]> {
  const rows = tf.tidy(() => tf.transpose(sae.decoder));
  try {
    const table = (await rows.data()) as Float32Array;
    return nearestRows(table, sae.channels, wanted, isActiveIn(totals), count);
  } finally {
    rows.dispose();
  }
}

/** Concepts whose positive contribution is spread most alike over the classes that the network answered. */
export function classNeighbours(
  totals: ConceptTotals,
  wanted: readonly number[],
  count: number,
): Neighbour[][] {
  const { concepts, classes } = totals.shape;
  const table = new Float32Array(concepts * classes);
  totals.pairs.predicted.forEach((concept, group, sums) => {
    table[concept * classes + group] = sums[POSITIVE];
  });
  return nearestRows(table, classes, wanted, isActiveIn(totals), count);
}

function isActiveIn(totals: ConceptTotals): (concept: number) => boolean {
  return (concept) => totals.concepts.images[concept] > 0;
}
