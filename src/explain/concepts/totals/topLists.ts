import { FactError } from '../../../core/errors.js';

/** What is kept of a concept in an image. */
export interface TopEntry {
  /** Number of the image within the data set. */
  readonly sample: number;
  /** Class that the network, with the autoencoder, answered. */
  readonly predicted: number;
  /** To that class. */
  readonly contribution: number;
  /** contribution / sum of the image's positive contributions; 0 where that is not positive. */
  readonly share: number;
  /** Sum of the concept's activations over the image. */
  readonly presence: number;
  /** Its largest activation, and the position of it: row by row over the features' positions. */
  readonly peak: number;
  readonly position: number;
}

const WHOLE = ['sample', 'predicted', 'position'] as const;
const REAL = ['score', 'contribution', 'share', 'presence', 'peak'] as const;

/** Columns of the lists as plain arrays, for a file: `counts` [concepts], the others [concepts * places]. */
export type TopColumns = Readonly<
  Record<'counts' | (typeof WHOLE)[number], Int32Array> & Record<(typeof REAL)[number], Float32Array>
>;

/**
 * The images with the highest scores of each concept: `places` of them, whatever the number of images offered. Falling by
 * score; of equal scores the image with the lower number comes first, so the order of offers does not matter. Memory is
 * `concepts` x `places` rows, taken at once.
 */
export class TopLists {
  readonly columns: TopColumns;

  constructor(
    readonly concepts: number,
    readonly places: number,
    columns?: TopColumns,
  ) {
    const size = concepts * places;
    this.columns = columns ?? {
      counts: new Int32Array(concepts),
      sample: new Int32Array(size),
      predicted: new Int32Array(size),
      position: new Int32Array(size),
      score: new Float32Array(size),
      contribution: new Float32Array(size),
      share: new Float32Array(size),
      presence: new Float32Array(size),
      peak: new Float32Array(size),
    };
    const fits = [...WHOLE, ...REAL].every((name) => this.columns[name].length === size);
    if (fits && this.columns.counts.length === concepts) return;
    throw new FactError({
      code: 'E_CONCEPTS_STATE',
      message: `lists of ${concepts} concepts with ${places} images each: the columns have other lengths`,
      remedy: 'The file is damaged: remove it and run the command again.',
    });
  }

  /** Rows that are kept now. */
  get kept(): number {
    return this.columns.counts.reduce((sum, count) => sum + count, 0);
  }

  /** Offers an image of a concept; kept where it is among the best. */
  offer(concept: number, score: number, entry: TopEntry): void {
    const { counts } = this.columns;
    const start = concept * this.places;
    const count = counts[concept];
    if (count === this.places && !this.comesBefore(score, entry.sample, start + count - 1)) return;
    let row = start + Math.min(count, this.places - 1);
    for (; row > start && this.comesBefore(score, entry.sample, row - 1); row--) this.move(row - 1, row);
    this.columns.score[row] = score;
    for (const name of WHOLE) this.columns[name][row] = entry[name];
    for (const name of REAL) if (name !== 'score') this.columns[name][row] = entry[name];
    if (count < this.places) counts[concept]++;
  }

  /** The images of a concept, best first. */
  entries(concept: number): TopEntry[] {
    const start = concept * this.places;
    return Array.from({ length: this.columns.counts[concept] }, (_, i) => {
      const of = (name: Exclude<keyof TopColumns, 'counts'>): number => this.columns[name][start + i];
      return {
        sample: of('sample'),
        predicted: of('predicted'),
        contribution: of('contribution'),
        share: of('share'),
        presence: of('presence'),
        peak: of('peak'),
        position: of('position'),
      };
    });
  }

  private comesBefore(score: number, sample: number, row: number): boolean {
    const other = this.columns.score[row];
    return score > other || (score === other && sample < this.columns.sample[row]);
  }

  private move(from: number, to: number): void {
    for (const name of WHOLE) this.columns[name][to] = this.columns[name][from];
    for (const name of REAL) this.columns[name][to] = this.columns[name][from];
  }
}
