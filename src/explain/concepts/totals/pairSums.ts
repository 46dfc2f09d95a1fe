import { FactError } from '../../../core/errors.js';

/** Pairs (concept, class) that have met so far with their sums; plain arrays, for a file. */
export interface PairColumns {
  /** concept * classes + class, in the order of their first meeting: [pairs]. */
  readonly keys: Uint32Array;
  /** [pairs * columns] */
  readonly sums: Float64Array;
}

const FIRST_ROWS = 1024;
const EMPTY = -1;

/** A multiplier that spreads neighbouring keys over the table (Knuth: 2^32 / golden ratio). */
const SPREAD = 0x9e3779b1;

/**
 * Sums for each pair of concept and class that occurs; pairs that never occur take no memory. Float64, added in the
 * order of the calls. A hash table on typed arrays: a `Map` of millions of objects would take ten times as much.
 */
export class PairSums {
  private keys = new Uint32Array(FIRST_ROWS);
  private sums: Float64Array;
  private slots = new Int32Array(2 * FIRST_ROWS).fill(EMPTY);
  private rows = 0;

  /** @param columns sums a pair @param from what an earlier run had. Throws FactError E_CONCEPTS_STATE. */
  constructor(
    concepts: number,
    private readonly classes: number,
    readonly columns: number,
    from?: PairColumns,
  ) {
    this.sums = new Float64Array(FIRST_ROWS * columns);
    if (concepts * classes > 2 ** 32)
      throw new FactError({
        code: 'E_CONCEPTS_STATE',
        message: `${concepts} concepts and ${classes} classes are more pairs than can be numbered`,
        remedy: 'Use an autoencoder with fewer concepts.',
      });
    if (from === undefined) return;
    if (from.sums.length !== from.keys.length * columns)
      throw new FactError({
        code: 'E_CONCEPTS_STATE',
        message: `${from.keys.length} pairs of concept and class with ${from.sums.length} sums, expected ${columns} a pair`,
        remedy: 'The file is damaged: remove it and run the command again.',
      });
    from.keys.forEach((key, row) => {
      const at = this.rowOf(key) * columns;
      this.sums.set(from.sums.subarray(row * columns, (row + 1) * columns), at);
    });
  }

  /** Pairs that have met. */
  get size(): number {
    return this.rows;
  }

  /** Adds one value to each column of a pair. */
  add(concept: number, group: number, values: readonly number[]): void {
    const at = this.rowOf(concept * this.classes + group) * this.columns;
    for (let c = 0; c < this.columns; c++) this.sums[at + c] += values[c];
  }

  /** The pairs so far; views, valid until the next `add`. */
  toColumns(): PairColumns {
    return {
      keys: this.keys.subarray(0, this.rows),
      sums: this.sums.subarray(0, this.rows * this.columns),
    };
  }

  /** Calls back for each pair, in the order of their first meeting. */
  forEach(visit: (concept: number, group: number, sums: Float64Array) => void): void {
    for (let row = 0; row < this.rows; row++) {
      const key = this.keys[row];
      const sums = this.sums.subarray(row * this.columns, (row + 1) * this.columns);
      visit(Math.floor(key / this.classes), key % this.classes, sums);
    }
  }

  private rowOf(key: number): number {
    let slot = this.slotOf(key);
    const found = this.slots[slot];
    if (found !== EMPTY) return found;
    if (this.rows === this.keys.length) {
      this.grow();
      slot = this.slotOf(key);
    }
    this.slots[slot] = this.rows;
    this.keys[this.rows] = key;
    return this.rows++;
  }

  /** The slot that holds a key, or the empty one where it belongs. */
  private slotOf(key: number): number {
    const mask = this.slots.length - 1;
    const mixed = Math.imul(key, SPREAD);
    let slot = (mixed ^ (mixed >>> 15)) & mask;
    while (this.slots[slot] !== EMPTY && this.keys[this.slots[slot]] !== key) slot = (slot + 1) & mask;
    return slot;
  }

  private grow(): void {
    const keys = new Uint32Array(2 * this.keys.length);
    keys.set(this.keys);
    this.keys = keys;
    const sums = new Float64Array(2 * this.sums.length);
    sums.set(this.sums);
    this.sums = sums;
    this.slots = new Int32Array(2 * this.slots.length).fill(EMPTY);
    for (let row = 0; row < this.rows; row++) this.slots[this.slotOf(this.keys[row])] = row;
  }
}
