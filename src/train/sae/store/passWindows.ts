/*
 * The order of a pass over rows that lie in pages: the pages in a random order, as many at a time as memory holds (a
 * window), and the rows of a window in a random order. Depends on (seed, pass) and the layout alone.
 */
import { Random } from '../../../core/random.js';

const PAGE_STREAM = 0x9a6;
const ROW_STREAM = 0x90f;

/** Rows that lie one behind the other in a shard. */
export interface Page {
  readonly shard: number;
  /** Number of the first row within the shard. */
  readonly first: number;
  readonly rows: number;
}

export interface PassWindow {
  /** Number within the pass. */
  readonly index: number;
  readonly pages: readonly Page[];
  readonly rows: number;
}

/** The pages of shards of so many rows, `pageRows` each, the last one of a shard maybe shorter. */
export function pagesOf(shardRows: readonly number[], pageRows: number): Page[] {
  return shardRows.flatMap((rows, shard) =>
    Array.from({ length: Math.ceil(rows / pageRows) }, (_, i) => ({
      shard,
      first: i * pageRows,
      rows: Math.min(pageRows, rows - i * pageRows),
    })),
  );
}

/**
 * The windows of a pass, each of at most `windowRows` rows (one page at least). Where one holds all, its pages keep
 * their order.
 */
export function* passWindows(
  pages: readonly Page[],
  windowRows: number,
  seed: number,
  pass: number,
): Generator<PassWindow, void, undefined> {
  const all = pages.reduce((sum, page) => sum + page.rows, 0);
  if (all <= windowRows) {
    yield { index: 0, pages, rows: all };
    return;
  }
  const order = new Random(seed, PAGE_STREAM, pass).permutation(pages.length);
  let chosen: Page[] = [];
  let rows = 0;
  let index = 0;
  for (const number of order) {
    const page = pages[number];
    if (chosen.length > 0 && rows + page.rows > windowRows) {
      yield { index: index++, pages: chosen, rows };
      chosen = [];
      rows = 0;
    }
    chosen.push(page);
    rows += page.rows;
  }
  if (chosen.length > 0) yield { index, pages: chosen, rows };
}

/** The order in which the rows of a window are used. */
export function windowOrder(window: PassWindow, seed: number, pass: number): Uint32Array {
  return new Random(seed, ROW_STREAM, pass, window.index).permutation(window.rows);
}
