/*
 * What a gallery keeps of a pass over a data set: per concept its best images and its sums, per class its sums, per pair
 * of concept and class its sums where they meet. Contributions are those to the class that the network (with the
 * autoencoder) answered. All sums are float64 in the order of the images, so that they do not depend on how the images
 * were divided into batches; nothing grows with the number of images.
 */

import type { PassImage } from '../pass.js';
import { type PairColumns, PairSums } from './pairSums.js';
import { type TopColumns, TopLists } from './topLists.js';

/** What is needed of an image of a pass. */
export type CountedImage = Pick<
  PassImage,
  'sample' | 'label' | 'spliced' | 'predicted' | 'values' | 'indices' | 'presence' | 'contributions'
> & {
  /** Terms of the constants above the tap for the predicted class. */
  readonly constants: ArrayLike<number>;
};

/** The three orders of a concept's images. */
export const RANKINGS = ['contribution', 'presence', 'peak'] as const;
export type Ranking = (typeof RANKINGS)[number];

/** Two ways to group images by class: what the network answered, and what the data set says. */
export const GROUPINGS = ['predicted', 'labelled'] as const;
export type Grouping = (typeof GROUPINGS)[number];

/** Sums per concept: [concepts] each. */
const CONCEPT_SUMS = ['images', 'positions', 'presence', 'contribution', 'positive', 'absolute'] as const;
/** Sums per class, for each grouping: [classes] each. `score` is before the bias, of the answer; `correct`: right answers. */
const CLASS_SUMS = ['images', 'score', 'constants', 'correct'] as const;
/** Sums per pair of concept and class. */
export const PAIR_SUMS = ['images', 'presence', 'contribution', 'positive'] as const;

const COUNTS = 3;

export type ConceptSums = Readonly<Record<(typeof CONCEPT_SUMS)[number], Float64Array>>;
export type ClassSums = Readonly<Record<(typeof CLASS_SUMS)[number], Float64Array>>;

export interface TotalsShape {
  readonly concepts: number;
  readonly classes: number;
  /** Images kept per concept and ranking. */
  readonly places: number;
}

/** All of it as plain arrays, for a file. */
export interface TotalsColumns {
  /** images, images without an active concept, positions an image */
  readonly counts: Float64Array;
  readonly concepts: ConceptSums;
  readonly classes: Readonly<Record<Grouping, ClassSums>>;
  readonly pairs: Readonly<Record<Grouping, PairColumns>>;
  readonly tops: Readonly<Record<Ranking, TopColumns>>;
}

function zeros<N extends string>(names: readonly N[], length: number): Record<N, Float64Array> {
  return Object.fromEntries(names.map((name) => [name, new Float64Array(length)])) as Record<N, Float64Array>;
}

function each<N extends string, V>(names: readonly N[], make: (name: N) => V): Record<N, V> {
  return Object.fromEntries(names.map((name) => [name, make(name)])) as Record<N, V>;
}

/** Sums and best images of a pass, added image by image. */
export class ConceptTotals {
  readonly concepts: ConceptSums;
  readonly classes: Readonly<Record<Grouping, ClassSums>>;
  readonly pairs: Readonly<Record<Grouping, PairSums>>;
  readonly tops: Readonly<Record<Ranking, TopLists>>;
  private readonly counts: Float64Array;
  /** Scratch for one image: largest activation, its position, active positions, and which concepts are active. */
  private readonly peak: Float32Array;
  private readonly position: Int32Array;
  private readonly activePlaces: Int32Array;

  /** @param k concepts a position at most @param from what an earlier run had. Throws FactError E_CONCEPTS_STATE. */
  constructor(
    readonly shape: TotalsShape,
    private readonly k: number,
    from?: TotalsColumns,
  ) {
    const { concepts, classes, places } = shape;
    this.counts = from?.counts ?? new Float64Array(COUNTS);
    this.concepts = from?.concepts ?? zeros(CONCEPT_SUMS, concepts);
    this.classes = from?.classes ?? each(GROUPINGS, () => zeros(CLASS_SUMS, classes));
    this.pairs = each(
      GROUPINGS,
      (name) => new PairSums(concepts, classes, PAIR_SUMS.length, from?.pairs[name]),
    );
    this.tops = each(RANKINGS, (name) => new TopLists(concepts, places, from?.tops[name]));
    this.peak = new Float32Array(concepts);
    this.position = new Int32Array(concepts);
    this.activePlaces = new Int32Array(concepts);
  }

  /** Images counted so far. */
  get images(): number {
    return this.counts[0];
  }

  /** Images in which no concept is active (black ones, for instance). */
  get withoutConcept(): number {
    return this.counts[1];
  }

  /** Positions of the features of an image. */
  get positions(): number {
    return this.counts[2];
  }

  /** Counts an image; images come in rising order of their number. */
  add(image: CountedImage): void {
    const active = this.scan(image);
    this.counts[0]++;
    this.counts[2] = image.values.length / this.k;
    if (active.length === 0) this.counts[1]++;
    let positive = 0;
    for (const c of active) positive += Math.max(0, image.contributions[c]);
    for (const c of active) this.addConcept(image, c, positive);
    const groups: Record<Grouping, number> = { predicted: image.predicted, labelled: image.label };
    for (const grouping of GROUPINGS) this.addClass(grouping, groups[grouping], image, active);
    for (const c of active) {
      this.peak[c] = 0;
      this.activePlaces[c] = 0;
    }
  }

  /** All of it as plain arrays (views, valid until the next `add`). */
  toColumns(): TotalsColumns {
    return {
      counts: this.counts,
      concepts: this.concepts,
      classes: this.classes,
      pairs: each(GROUPINGS, (name) => this.pairs[name].toColumns()),
      tops: each(RANKINGS, (name) => this.tops[name].columns),
    };
  }

  /** Fills the scratch; the active concepts in rising order. */
  private scan({ values, indices }: CountedImage): number[] {
    const active: number[] = [];
    for (let i = 0; i < values.length; i++) {
      const value = values[i];
      if (value <= 0) continue;
      const c = indices[i];
      if (this.activePlaces[c]++ === 0) active.push(c);
      if (value <= this.peak[c]) continue;
      this.peak[c] = value;
      this.position[c] = Math.floor(i / this.k);
    }
    return active.sort((a, b) => a - b);
  }

  private addConcept(image: CountedImage, c: number, positive: number): void {
    const contribution = image.contributions[c];
    const presence = image.presence[c];
    const sums = this.concepts;
    sums.images[c]++;
    sums.positions[c] += this.activePlaces[c];
    sums.presence[c] += presence;
    sums.contribution[c] += contribution;
    sums.positive[c] += Math.max(0, contribution);
    sums.absolute[c] += Math.abs(contribution);
    const entry = {
      sample: image.sample,
      predicted: image.predicted,
      contribution,
      share: contribution > 0 ? contribution / positive : 0,
      presence,
      peak: this.peak[c],
      position: this.position[c],
    };
    if (contribution > 0) this.tops.contribution.offer(c, contribution, entry);
    this.tops.presence.offer(c, presence, entry);
    this.tops.peak.offer(c, entry.peak, entry);
  }

  /** @param group number of the class; below 0: not known */
  private addClass(grouping: Grouping, group: number, image: CountedImage, active: readonly number[]): void {
    if (group < 0) return;
    const sums = this.classes[grouping];
    sums.images[group]++;
    sums.score[group] += image.spliced[image.predicted];
    for (let i = 0; i < image.constants.length; i++) sums.constants[group] += image.constants[i];
    if (image.label === image.predicted) sums.correct[group]++;
    const pairs = this.pairs[grouping];
    for (const c of active) {
      const contribution = image.contributions[c];
      pairs.add(c, group, [1, image.presence[c], contribution, Math.max(0, contribution)]);
    }
  }
}
