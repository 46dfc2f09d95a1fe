/*
 * Pairs up two sets of directions one to one so that the sum of the pairs' cosines is largest (the Hungarian problem).
 * Small sets: exactly, on the full matrix. Large ones, where that takes cubic time and K^2 memory: an auction over the
 * nearest directions of each, the few that are left over exactly among each other, and the proven distance to the best.
 */
import { linearSumAssignment } from 'linear-sum-assignment';
import { Matrix } from 'ml-matrix';
import { auction } from './auction.js';
import { nearestDirections } from './nearestDirections.js';
import { chooseDirections, cosine, type Directions } from './unitColumns.js';

export interface DirectionMatch {
  /** Partner of each direction of the first set, -1 where it has none, and their cosine. */
  readonly partner: Int32Array;
  readonly cosines: Float32Array;
  readonly pairs: number;
  readonly method: 'exact' | 'bounded';
  /** The best mean cosine is at most this much larger. */
  readonly gap: number;
}

export interface MatchOptions {
  /** Sets whose smaller one has at most so many are solved on the full matrix. Default 1024. */
  readonly exactUpTo?: number;
  /** Nearest directions that a large set's auction knows of each. Default 64. */
  readonly candidates?: number;
}

const EXACT_UP_TO = 1024;
const CANDIDATES = 64;
/** A gap that is worth no further auction, and the number of candidates at which it ends anyway. */
const SMALL_GAP = 5e-4;
const MOST_CANDIDATES = 512;
/** Step of the auction's prices: its share of the gap is at most this. */
const STEP = 1e-4;

/** Columns of rows by the full matrix; rows at most columns. */
function assignExactly(a: Directions, b: Directions): ArrayLike<number> {
  const full = new Matrix(a.count, b.count);
  for (let i = 0; i < a.count; i++) for (let j = 0; j < b.count; j++) full.set(i, j, cosine(a, i, b, j));
  return linearSumAssignment(full).rowAssignments;
}

/** Columns of rows, and an upper bound of the sum. */
async function assignByAuction(
  a: Directions,
  b: Directions,
  width: number,
): Promise<{ columnOf: Int32Array; bound: number }> {
  const isAll = width >= b.count;
  const nearest = await nearestDirections(a, b, isAll ? b.count : width + 1);
  const kept = isAll ? nearest.width : nearest.width - 1;
  const take = <A extends Float32Array | Int32Array>(from: A, to: A): A => {
    for (let i = 0; i < a.count; i++)
      to.set(from.subarray(i * nearest.width, i * nearest.width + kept), i * kept);
    return to;
  };
  const floor = Float32Array.from({ length: a.count }, (_, i) =>
    isAll ? -1 : nearest.cosines[i * nearest.width + kept],
  );
  const { columnOf, bound } = auction(
    {
      rows: a.count,
      columns: b.count,
      width: kept,
      indices: take(nearest.indices, new Int32Array(a.count * kept)),
      values: take(nearest.cosines, new Float32Array(a.count * kept)),
      floor,
    },
    STEP,
  );
  return { columnOf, bound };
}

/** Gives the rows without a column the columns without a row, exactly among themselves. */
function assignRest(a: Directions, b: Directions, columnOf: Int32Array): void {
  const rows: number[] = [];
  const taken = new Set<number>();
  columnOf.forEach((column, row) => {
    if (column < 0) rows.push(row);
    else taken.add(column);
  });
  if (rows.length === 0) return;
  const free = Array.from({ length: b.count }, (_, j) => j).filter((j) => !taken.has(j));
  const found = assignExactly(chooseDirections(a, rows), chooseDirections(b, free));
  rows.forEach((row, i) => {
    columnOf[row] = free[found[i]];
  });
}

/** Auctions with more and more candidates, until the proven gap is small. What is left over each time is solved exactly. */
async function assignClosely(
  a: Directions,
  b: Directions,
  candidates: number,
  limit: number,
): Promise<{ columnOf: Int32Array; bound: number }> {
  for (let width = candidates; ; width *= 2) {
    const { columnOf, bound } = await assignByAuction(a, b, width);
    const isLast = width >= b.count;
    const left = columnOf.filter((column) => column < 0).length;
    if (left > limit && !isLast) continue;
    assignRest(a, b, columnOf);
    const sum = columnOf.reduce((total, column, row) => total + cosine(a, row, b, column), 0);
    if (bound - sum <= SMALL_GAP * a.count || width >= MOST_CANDIDATES || isLast) return { columnOf, bound };
  }
}

/** Matches two sets of at least one direction each, over the same channels. */
export async function matchDirections(
  first: Directions,
  second: Directions,
  options: MatchOptions = {},
): Promise<DirectionMatch> {
  const isTurned = first.count > second.count;
  const [a, b] = isTurned ? [second, first] : [first, second];
  const limit = options.exactUpTo ?? EXACT_UP_TO;
  const { columnOf, bound } =
    a.count <= limit
      ? { columnOf: assignExactly(a, b), bound: null }
      : await assignClosely(a, b, options.candidates ?? CANDIDATES, limit);
  const partner = new Int32Array(first.count).fill(-1);
  const cosines = new Float32Array(first.count);
  let sum = 0;
  for (let row = 0; row < a.count; row++) {
    const value = cosine(a, row, b, columnOf[row]);
    sum += value;
    const [i, j] = isTurned ? [columnOf[row], row] : [row, columnOf[row]];
    partner[i] = j;
    cosines[i] = value;
  }
  return {
    partner,
    cosines,
    pairs: a.count,
    method: bound === null ? 'exact' : 'bounded',
    gap: bound === null ? 0 : Math.max(0, bound - sum) / a.count,
  };
}
