/** How much of an autoencoder comes again in others that were trained from other beginnings. */
import type { Matrix } from 'ml-matrix';
import { type Progress, silentProgress } from '../../../core/progress.js';
import type { Sae } from '../../../explain/sae.js';
import type { ConceptUse } from './conceptUse.js';
import type { DecoderMatch, SaeStability } from './evaluationSchema.js';
import { quantile, quantiles } from './histogram.js';
import { type DirectionMatch, matchDirections } from './matchDirections.js';
import { nearestDirections } from './nearestDirections.js';
import {
  dimensionsOf,
  mostUsedBasis,
  type NestedBasis,
  principalBasis,
  subspaceOverlap,
} from './subspaces.js';
import { chooseDirections, type Directions, decoderDirections, shuffledDirections } from './unitColumns.js';

/** An autoencoder with how its concepts are used on the data. */
export interface UsedSae {
  readonly sae: Sae;
  readonly use: ConceptUse;
}

export interface OtherSae extends UsedSae {
  readonly path: string;
  readonly hash: string;
}

export interface StabilityResult {
  readonly stability: SaeStability[];
  /** Mean over the others of a concept's matched cosine; null where it was in no comparison: [latents]. */
  readonly matchedCosine: (number | null)[];
}

const BASELINE_SEED = 12;
const MOST_SHOWN = 400;

/** What is compared of one side: its directions, the numbers of the concepts, and its bases. */
interface Side {
  readonly all: Directions;
  readonly alive: readonly number[];
  readonly mostUsed: Matrix | null;
  readonly principal: NestedBasis | null;
}

async function sideOf({ sae, use }: UsedSae): Promise<Side> {
  const all = await decoderDirections(sae);
  return {
    all,
    alive: use.alive(),
    mostUsed: mostUsedBasis(all, use.energy),
    principal: await principalBasis(all, use.energy),
  };
}

function sharePercent(values: ArrayLike<number>, above: number): number {
  let count = 0;
  for (let i = 0; i < values.length; i++) if (values[i] > above) count++;
  return values.length === 0 ? 0 : (100 * count) / values.length;
}

/** The cosines of the pairs, rising. */
function pairCosines({ partner, cosines }: DirectionMatch): Float64Array {
  return Float64Array.from(cosines.filter((_, i) => partner[i] >= 0)).sort();
}

const meanOf = (values: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i];
  return sum / values.length;
};

/** At most MOST_SHOWN of rising values, evenly spaced, as a falling list. */
function falling(sorted: Float64Array): number[] {
  const count = Math.min(MOST_SHOWN, sorted.length);
  return Array.from({ length: count }, (_, i) => quantile(sorted, count === 1 ? 0.5 : 1 - i / (count - 1)));
}

interface Compared {
  readonly match: DirectionMatch;
  readonly sorted: Float64Array;
  readonly random: Float64Array;
  readonly summary: DecoderMatch;
}

async function compare(a: Directions, b: Directions): Promise<Compared> {
  const match = await matchDirections(a, b);
  const random = pairCosines(await matchDirections(a, shuffledDirections(b, BASELINE_SEED)));
  const sorted = pairCosines(match);
  const nearest = await nearestDirections(a, b, 1);
  return {
    match,
    sorted,
    random,
    summary: {
      concepts: a.count,
      otherConcepts: b.count,
      pairs: match.pairs,
      mean: meanOf(sorted),
      quantiles: quantiles(sorted),
      above90Percent: sharePercent(sorted, 0.9),
      above70Percent: sharePercent(sorted, 0.7),
      nearestMean: meanOf(nearest.cosines),
      method: match.method,
      gap: match.gap,
      random: {
        mean: meanOf(random),
        median: quantile(random, 0.5),
        above70Percent: sharePercent(random, 0.7),
      },
    },
  };
}

/** Compares one autoencoder with others at the same tap. Rejects with the reason of an aborted signal. */
export async function compareSaes(
  own: UsedSae,
  others: readonly OtherSae[],
  options: { readonly progress?: Progress; readonly signal?: AbortSignal } = {},
): Promise<StabilityResult> {
  const { latents } = own.sae;
  const sums = new Float64Array(latents);
  const counts = new Float64Array(latents);
  const stability: SaeStability[] = [];
  if (others.length === 0) return { stability, matchedCosine: new Array<null>(latents).fill(null) };
  const side = await sideOf(own);
  for (const { path, hash, ...other } of others) {
    options.signal?.throwIfAborted();
    const theirs = await sideOf(other);
    const isWhole = side.alive.length === latents && theirs.alive.length === other.sae.latents;
    const all = await compare(side.all, theirs.all);
    options.signal?.throwIfAborted();
    const hasAlive = side.alive.length > 0 && theirs.alive.length > 0;
    const alive = isWhole
      ? all
      : hasAlive
        ? await compare(chooseDirections(side.all, side.alive), chooseDirections(theirs.all, theirs.alive))
        : null;
    const headline = alive ?? all;
    const numbers = alive === null ? null : side.alive;
    headline.match.partner.forEach((partner, i) => {
      if (partner < 0) return;
      const concept = numbers === null ? i : numbers[i];
      sums[concept] += headline.match.cosines[i];
      counts[concept]++;
    });
    const dimensions = side.principal === null ? 0 : dimensionsOf(side.principal);
    stability.push({
      path,
      hash,
      latents: other.sae.latents,
      k: other.sae.k,
      all: all.summary,
      alive: alive?.summary ?? null,
      mostUsed:
        side.mostUsed === null || theirs.mostUsed === null
          ? null
          : subspaceOverlap(side.mostUsed, theirs.mostUsed, dimensions),
      principal:
        side.principal === null || theirs.principal === null
          ? null
          : subspaceOverlap(side.principal.columns, theirs.principal.columns, dimensions),
      sortedCosines: falling(headline.sorted),
      sortedRandomCosines: falling(headline.random),
    });
    (options.progress ?? silentProgress).update(stability.length);
  }
  return {
    stability,
    matchedCosine: Array.from(sums, (sum, c) => (counts[c] > 0 ? sum / counts[c] : null)),
  };
}
