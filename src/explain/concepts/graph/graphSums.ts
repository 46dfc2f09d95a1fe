/*
 * Sums of concept graphs over images as they come: memory does not grow with their number. First `addWeights` for each
 * image, then `choose`, then `addTraces` for each of the same images, then `graph`.
 */

import { className } from '../../../models/classes.js';
import type { ModelSpec } from '../../../models/spec.js';
import { sumTerms } from '../../ledger.js';
import { type ConceptGraph, REGION_SIDE, regionSums } from './graph.js';
import { buildGraph, type LevelSums, type RowSums } from './graphBuild.js';
import { HopCheck } from './graphHops.js';
import type { GraphPass, ImageTraces, ImageWeights } from './graphPass.js';

export interface GraphSumsOptions {
  readonly spec: ModelSpec;
  readonly target: number;
  /** Concepts shown one by one at each level. */
  readonly top: number;
  readonly tolerance: number;
  /** Whether edges to the regions of the picture are kept: for one image. */
  readonly hasRegions: boolean;
}

type Shape = Pick<GraphPass, 'levels' | 'constants' | 'imageSize'>;

function addTo(sums: Float64Array, values: ArrayLike<number>): void {
  for (let i = 0; i < sums.length; i++) sums[i] += values[i];
}

function scaled(sums: Float64Array, factor: number): Float64Array {
  return sums.map((v) => v * factor);
}

/** Numbers of the `count` largest |values|, largest first, ties by number. */
export function largestConcepts(values: ArrayLike<number>, count: number): number[] {
  return Array.from({ length: values.length }, (_, i) => i)
    .sort((a, b) => Math.abs(values[b]) - Math.abs(values[a]) || a - b)
    .slice(0, count);
}

/** Rows of a flat array. */
function rowAt(values: Float32Array, row: number, length: number): Float32Array {
  return values.subarray(row * length, (row + 1) * length);
}

export class GraphSums {
  images = 0;
  private traced = 0;
  private score = 0;
  private readonly topConstants: Float64Array;
  private readonly contributions: readonly Float64Array[];
  private readonly presences: readonly Float64Array[];
  private ids: readonly (readonly number[])[] | null = null;
  private rows: readonly (readonly RowSums[])[] = [];
  private readonly classHop: HopCheck;
  private readonly hops: readonly { readonly logits: HopCheck; readonly presence: HopCheck }[];

  constructor(
    private readonly shape: Shape,
    private readonly options: GraphSumsOptions,
  ) {
    const { levels, constants } = shape;
    const { tolerance } = options;
    const zeros = () => levels.map(({ latents }) => new Float64Array(latents));
    this.contributions = zeros();
    this.presences = zeros();
    this.topConstants = new Float64Array(constants[levels.length].length);
    this.classHop = new HopCheck('class', levels[levels.length - 1].tap, 'logits', tolerance);
    this.hops = levels.map(({ tap }, l) => {
      const from = l === 0 ? 'pixels' : levels[l - 1].tap;
      return {
        logits: new HopCheck(tap, from, 'logits', tolerance),
        presence: new HopCheck(tap, from, 'presence', tolerance),
      };
    });
  }

  /** First pass: an image whose target is the graph's. */
  addWeights(image: string, weights: ImageWeights): void {
    const last = this.shape.levels.length - 1;
    const left = weights.scores[this.options.target];
    this.images++;
    this.score += left;
    weights.contributions.forEach((values, l) => {
      addTo(this.contributions[l], values);
    });
    weights.presences.forEach((values, l) => {
      addTo(this.presences[l], values);
    });
    addTo(this.topConstants, weights.constants[last + 1]);
    this.classHop.add(image, {
      left,
      terms: weights.contributions[last],
      constants: weights.constants[last + 1],
    });
  }

  /** The concepts to show at each level: those that contribute most in the mean. Ends the first pass. */
  choose(): readonly (readonly number[])[] {
    const { levels, constants } = this.shape;
    const ids = this.contributions.map((sums) => largestConcepts(sums, this.options.top));
    this.ids = ids;
    this.rows = ids.map((chosen, l) => {
      const terms = l === 0 ? REGION_SIDE ** 2 : levels[l - 1].latents;
      const row = (isOthers: boolean): RowSums => ({
        logits: new Float64Array(terms),
        logitConstants: new Float64Array(constants[l].length),
        presence: isOthers ? null : new Float64Array(terms),
        presenceConstants: isOthers ? null : new Float64Array(constants[l].length),
        absolutes: l === 0 ? new Float64Array(2) : null,
      });
      return [...chosen.map(() => row(false)), row(true)];
    });
    return ids;
  }

  /** Second pass: one of the same images. */
  addTraces(image: string, traces: readonly ImageTraces[]): void {
    const { ids } = this;
    if (ids === null) throw new Error('choose() comes before addTraces()');
    this.traced++;
    traces.forEach((trace, l) => {
      this.rows[l].forEach((row, j) => {
        this.addRow(image, l, j, row, trace, ids[l]);
      });
    });
  }

  private addRow(
    image: string,
    l: number,
    j: number,
    row: RowSums,
    trace: ImageTraces,
    ids: readonly number[],
  ): void {
    const [height, width] = this.shape.imageSize;
    const count = l === 0 ? height * width : this.shape.levels[l - 1].latents;
    const ownConstants = row.logitConstants.length;
    // A part without constants has a column of zeros.
    const stored = Math.max(1, ownConstants);
    const termsOf = (values: Float32Array): Float32Array => rowAt(values, j, count);
    const constantsOf = (values: Float32Array): Float32Array =>
      rowAt(values, j, stored).subarray(0, ownConstants);
    const keep = (sums: Float64Array, terms: Float32Array, unit: 0 | 1): void => {
      addTo(sums, l === 0 ? regionSums(terms, height, width) : terms);
      if (row.absolutes !== null) row.absolutes[unit] += sumTerms(terms).absolute;
    };
    const chosen = new Set(ids);
    const isOthers = row.presence === null;
    const left = isOthers
      ? trace.contributions.reduce((sum, v, i) => (chosen.has(i) ? sum : sum + v), 0)
      : trace.contributions[ids[j]];
    const logits = { left, terms: termsOf(trace.logits), constants: constantsOf(trace.logitConstants) };
    this.hops[l].logits.add(image, logits);
    keep(row.logits, logits.terms, 0);
    addTo(row.logitConstants, logits.constants);
    if (row.presence === null || row.presenceConstants === null) return;
    const presence = {
      left: trace.presences[ids[j]],
      terms: termsOf(trace.presence),
      constants: constantsOf(trace.presenceConstants),
    };
    this.hops[l].presence.add(image, presence);
    keep(row.presence, presence.terms, 1);
    addTo(row.presenceConstants, presence.constants);
  }

  /** The graph of the means. */
  graph(): ConceptGraph {
    const { ids, images } = this;
    if (ids === null || this.traced !== images || images === 0)
      throw new Error(`a graph needs the traces of its ${images} images, it has ${this.traced}`);
    const { spec, target } = this.options;
    const { levels, constants } = this.shape;
    const mean = 1 / images;
    const means: LevelSums[] = levels.map((_, l) => ({
      contributions: scaled(this.contributions[l], mean),
      presences: scaled(this.presences[l], mean),
      ids: ids[l],
      rows: this.rows[l].map((row) => ({
        logits: scaled(row.logits, mean),
        logitConstants: scaled(row.logitConstants, mean),
        presence: row.presence === null ? null : scaled(row.presence, mean),
        presenceConstants: row.presenceConstants === null ? null : scaled(row.presenceConstants, mean),
        absolutes: row.absolutes === null ? null : scaled(row.absolutes, mean),
      })),
    }));
    const topConstants = scaled(this.topConstants, mean);
    this.checkMeans(means, this.score * mean, topConstants);
    return {
      target: { index: target, name: className(spec, target) },
      images,
      score: this.score * mean,
      bias: spec.logitBias ?? 0,
      taps: levels.map(({ tap }) => tap),
      ...buildGraph({
        levels: means,
        taps: levels.map(({ tap }) => tap),
        constants,
        topConstants,
        score: this.score * mean,
        className: className(spec, target),
        hasRegions: this.options.hasRegions,
      }),
      hops: [
        this.classHop.result(),
        ...[...this.hops].reverse().flatMap(({ presence, logits }) => [presence.result(), logits.result()]),
      ],
    };
  }

  /** The sums of means. */
  private checkMeans(means: readonly LevelSums[], score: number, topConstants: Float64Array): void {
    const last = means[means.length - 1];
    this.classHop.addMean({ left: score, terms: last.contributions, constants: topConstants });
    means.forEach((level, l) => {
      const chosen = new Set(level.ids);
      level.rows.forEach((row, j) => {
        const absolute = (unit: 0 | 1) => (row.absolutes === null ? {} : { absolute: row.absolutes[unit] });
        const isOthers = row.presence === null;
        const left = isOthers
          ? level.contributions.reduce((sum, v, i) => (chosen.has(i) ? sum : sum + v), 0)
          : level.contributions[level.ids[j]];
        const { logits, presence } = this.hops[l];
        logits.addMean({ left, terms: row.logits, constants: row.logitConstants, ...absolute(0) });
        if (row.presence === null || row.presenceConstants === null) return;
        presence.addMean({
          left: level.presences[level.ids[j]],
          terms: row.presence,
          constants: row.presenceConstants,
          ...absolute(1),
        });
      });
    });
  }
}
