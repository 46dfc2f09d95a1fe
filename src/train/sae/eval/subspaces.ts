/*
 * How alike the subspaces are that two autoencoders use. With orthonormal bases Q and Q' of r columns each:
 *
 *     overlap(r) = ||Q^T Q'||_F^2 / r        the mean squared cosine of their principal angles, 0 to 1
 *
 * Two random subspaces of r of C dimensions overlap by r / C on average. Bases are nested, so that one product gives the
 * overlap for every r:
 *
 *     most used    Q of the QR decomposition of the decoder's columns, those with the most energy first
 *     principal    eigenvectors of sum over concepts of e_c d_c d_c^T, largest eigenvalue first; e_c = energy
 *
 * The energy of a concept is the sum of its squared activations over the data set, d_c its unit decoder column.
 */
import * as tf from '@tensorflow/tfjs';
import { EigenvalueDecomposition, Matrix, QrDecomposition } from 'ml-matrix';
import type { SubspaceOverlap } from './evaluationSchema.js';
import type { Directions } from './unitColumns.js';

/** Orthonormal columns [C, r], and the share of the energy that the first n of them hold. */
export interface NestedBasis {
  readonly columns: Matrix;
  readonly energyShare: readonly number[];
}

/** Share of the energy that the dimensions of the headline number hold. */
const HELD = 0.9;

/** Numbers of the concepts with energy, most first, ties by number. */
function byEnergy(energy: ArrayLike<number>): number[] {
  return Array.from(energy, (_, c) => c)
    .filter((c) => energy[c] > 0)
    .sort((a, b) => energy[b] - energy[a] || a - b);
}

/** Concepts of the span of the most used ones, at most: the decomposition takes time with the square of their number. */
const MOST_USED = 512;

/** Basis of the directions with the most energy: at most 512, at most C. Null where none has energy. */
export function mostUsedBasis(directions: Directions, energy: ArrayLike<number>): Matrix | null {
  const { rows, channels } = directions;
  const chosen = byEnergy(energy).slice(0, Math.min(channels, MOST_USED));
  if (chosen.length === 0) return null;
  const own = new Matrix(channels, chosen.length);
  chosen.forEach((concept, i) => {
    for (let c = 0; c < channels; c++) own.set(c, i, rows[concept * channels + c]);
  });
  return new QrDecomposition(own).orthogonalMatrix;
}

/** Eigenvectors of the energy-weighted second moment of the directions, largest first. Null where none has energy. */
export async function principalBasis(
  { rows, count, channels }: Directions,
  energy: ArrayLike<number>,
): Promise<NestedBasis | null> {
  const total = Array.from(energy).reduce((sum, value) => sum + value, 0);
  if (!(total > 0)) return null;
  const scaled = rows.map((v, i) => v * Math.sqrt(energy[Math.floor(i / channels)] / total));
  const moment = tf.tidy(() => {
    const x = tf.tensor2d(scaled, [count, channels]);
    return tf.matMul(x, x, true, false);
  });
  const values = await moment.data();
  moment.dispose();
  const symmetric = new Matrix(channels, channels);
  for (let a = 0; a < channels; a++) {
    for (let b = 0; b <= a; b++) {
      symmetric.set(a, b, values[a * channels + b]);
      symmetric.set(b, a, values[a * channels + b]);
    }
  }
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(symmetric, {
    assumeSymmetric: true,
  });
  // ml-matrix gives them rising.
  const order = realEigenvalues.map((_, i) => channels - 1 - i);
  let held = 0;
  return {
    columns: eigenvectorMatrix.subMatrixColumn(order),
    energyShare: order.map((i) => {
      held += Math.max(0, realEigenvalues[i]);
      return held;
    }),
  };
}

/** Dimensions that hold 90 % of the energy. */
export function dimensionsOf({ energyShare }: NestedBasis): number {
  const all = energyShare[energyShare.length - 1];
  return energyShare.findIndex((share) => share >= HELD * all) + 1;
}

/** 1, 2, 4, ... and the headline's, at most `most`, rising. */
function steps(most: number, headline: number): number[] {
  const list = new Set([headline, most]);
  for (let r = 1; r < most; r *= 2) list.add(r);
  return [...list].sort((a, b) => a - b);
}

/** Overlap of nested bases of the same space at several numbers of dimensions. `dimensions`: those of the headline. */
export function subspaceOverlap(a: Matrix, b: Matrix, dimensions: number): SubspaceOverlap {
  const channels = a.rows;
  const most = Math.min(a.columns, b.columns);
  const product = a.transpose().mmul(b);
  // The sum of squares in the first r rows and columns, for every r.
  const inside = new Float64Array(most);
  for (let i = 0; i < most; i++)
    for (let j = 0; j < most; j++) inside[Math.max(i, j)] += product.get(i, j) ** 2;
  for (let r = 1; r < most; r++) inside[r] += inside[r - 1];
  const at = (r: number) => ({ dimensions: r, overlap: inside[r - 1] / r, random: r / channels });
  const headline = Math.min(dimensions, most);
  return { ...at(headline), curve: steps(most, headline).map(at) };
}
