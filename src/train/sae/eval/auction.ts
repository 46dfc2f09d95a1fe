/*
 * Assignment of rows to columns with the largest sum of values, where each row knows its best columns only (Bertsekas'
 * auction). Every column has a price from 0; a row without a column bids for the one that pays most after its price,
 * and raises that price by as much as it would lose with its second choice, plus a step. A row whose candidates pay no
 * more than `floor`, the best value it could have outside of them, leaves: it is matched afterwards.
 *
 * With prices p >= 0 and u_i = max(floor_i, max over candidates of v_ij - p_j), u_i + p_j >= v_ij holds for every row
 * and column, candidate or not; so sum u + sum p bounds the sum of any assignment from above. The auction alone ends
 * within rows * step of that bound; rows that left add to the gap. The bound is returned: nobody need believe this.
 */

export interface Candidates {
  readonly rows: number;
  readonly columns: number;
  /** Candidates of a row: columns and values, [rows, width], largest value first. */
  readonly width: number;
  readonly indices: Int32Array;
  readonly values: Float32Array;
  /** At least the value of each column that is not a candidate: [rows]. */
  readonly floor: Float32Array;
}

export interface AuctionResult {
  /** Column of each row, -1 where it left: [rows]. */
  readonly columnOf: Int32Array;
  /** No assignment has a larger sum. */
  readonly bound: number;
}

/** What a row can get at these prices: best candidate, what it and the second best pay. */
function bestOf(
  { width, indices, values, floor }: Candidates,
  row: number,
  prices: Float64Array,
): { column: number; best: number; second: number } {
  let [column, best, second] = [-1, Number.NEGATIVE_INFINITY, floor[row]];
  for (let i = row * width; i < (row + 1) * width; i++) {
    const pays = values[i] - prices[indices[i]];
    if (pays > best) {
      second = Math.max(second, best);
      best = pays;
      column = indices[i];
    } else if (pays > second) second = pays;
  }
  return { column, best, second };
}

/** Runs the auction. `rows` at most `columns`. */
export function auction(candidates: Candidates, step: number): AuctionResult {
  const { rows, columns, floor } = candidates;
  const prices = new Float64Array(columns);
  const owner = new Int32Array(columns).fill(-1);
  const columnOf = new Int32Array(rows).fill(-1);
  const waiting = Array.from({ length: rows }, (_, i) => rows - 1 - i);
  for (let row = waiting.pop(); row !== undefined; row = waiting.pop()) {
    const { column, best, second } = bestOf(candidates, row, prices);
    if (column < 0 || best <= floor[row]) continue;
    prices[column] += best - second + step;
    const before = owner[column];
    if (before >= 0) {
      columnOf[before] = -1;
      waiting.push(before);
    }
    owner[column] = row;
    columnOf[row] = column;
  }
  let bound = prices.reduce((sum, price) => sum + price, 0);
  for (let row = 0; row < rows; row++) bound += Math.max(floor[row], bestOf(candidates, row, prices).best);
  return { columnOf, bound };
}
