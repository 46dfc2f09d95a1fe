/*
 * Two classes of one image compared as plain data: what each concept adds to either logit, and the difference. Exact:
 *
 *     score_A - score_B = sum over concepts of (contribution_A - contribution_B) + constants_A - constants_B
 *
 * The logit bias is the same for all classes and cancels. And the fewest concepts that would have to go for the decision to
 * flip: by the linear sum, largest differences first, which no smaller set can beat; then by true forward passes.
 */
import { argMax } from '../../../core/argMax.js';
import type { ModelSpec } from '../../../models/spec.js';
import type { ExplainImage } from '../../explanation.js';
import { formLedger, type Ledger } from '../../ledger.js';
import { highest } from '../edit/edit.js';
import type { EditPass, ImageEditAttribution } from '../edit/editPass.js';
import { checkScores, graphImages } from '../graph/graphImage.js';
import { scoredClass } from '../graph/graphReport.js';

/** Forward passes that are spent on a set that truly flips the decision. */
const MOST_TRIES = 64;

export interface ScoredClass {
  readonly index: number;
  readonly name: string;
  /** With the bias. */
  readonly logit: number;
  readonly probability: number;
}

/** Why these two classes. */
export type VersusReason = 'asked' | 'misclassified' | 'runner-up';

/** One concept in a comparison. */
export interface VersusConcept {
  readonly concept: number;
  readonly contributionFor: number;
  readonly contributionVersus: number;
  /** contributionFor - contributionVersus. */
  readonly difference: number;
  /** difference / sum over all concepts of |difference|. */
  readonly share: number;
}

/** Removing concepts until the other of the two classes has the higher logit. */
export interface Flip {
  /** The class of the two with the higher logit, which the flip dethrones. */
  readonly winner: number;
  readonly loser: number;
  /** Fewest concepts whose removal flips the exact sum, largest difference first; null: no set does. */
  readonly predicted: readonly number[] | null;
  /** Difference winner - loser that the sum predicts after it, and that a true forward pass gives. */
  readonly predictedDifference: number | null;
  readonly recomputedDifference: number | null;
  /**
   * Fewest concepts, taken in the same order, whose removal flips the true forward pass, among those tried: up to 64, and
   * the predicted ones; null: none of them.
   */
  readonly recomputed: readonly number[] | null;
  /** What the network then answers. */
  readonly answer: ScoredClass | null;
}

export interface VersusResult {
  readonly image: string;
  readonly tap: string;
  readonly reason: VersusReason;
  readonly for: ScoredClass;
  readonly versus: ScoredClass;
  readonly predicted: ScoredClass;
  readonly predictedAlone: ScoredClass;
  readonly trueClass: ScoredClass | null;
  /** Logit of `for` less that of `versus`. */
  readonly difference: number;
  /** Concepts that add anything to either class, largest |difference| first. */
  readonly concepts: readonly VersusConcept[];
  /** Constants above the tap, by name. */
  readonly constants: readonly { readonly name: string; readonly for: number; readonly versus: number }[];
  /** The sums: difference, and either logit before the bias. */
  readonly ledgers: readonly Ledger[];
  readonly flip: Flip;
}

/** Which two classes a person asks for; what is left out is chosen from the image. */
export interface VersusChoice {
  readonly for?: number;
  readonly versus?: number;
}

/**
 * The pair: as asked; else for an image whose true class is known and missed the answer against the true class; else the
 * answer against the runner-up. A single asked class stands against the answer, or where it is that, against the runner-up.
 */
export function chooseVersus(
  scores: ArrayLike<number>,
  trueClass: number | null,
  choice: VersusChoice,
): { for: number; versus: number; reason: VersusReason } {
  const [answer, runnerUp] = highest(scores, 2);
  const against = (index: number): number => (index === answer ? runnerUp : answer);
  if (choice.for !== undefined)
    return { for: choice.for, versus: choice.versus ?? against(choice.for), reason: 'asked' };
  if (choice.versus !== undefined)
    return { for: against(choice.versus), versus: choice.versus, reason: 'asked' };
  if (trueClass !== null && trueClass !== answer)
    return { for: answer, versus: trueClass, reason: 'misclassified' };
  return { for: answer, versus: runnerUp, reason: 'runner-up' };
}

/** Concepts by the size of their difference; those that add anything to either class. */
export function compareConcepts(a: Float32Array, b: Float32Array): VersusConcept[] {
  let absolute = 0;
  for (let c = 0; c < a.length; c++) absolute += Math.abs(a[c] - b[c]);
  return Array.from(a, (contributionFor, concept) => {
    const difference = contributionFor - b[concept];
    return {
      concept,
      contributionFor,
      contributionVersus: b[concept],
      difference,
      share: absolute === 0 ? 0 : difference / absolute,
    };
  })
    .filter(({ contributionFor, contributionVersus }) => contributionFor !== 0 || contributionVersus !== 0)
    .sort((x, y) => Math.abs(y.difference) - Math.abs(x.difference) || x.concept - y.concept);
}

/** The concepts that speak for the class that is ahead, largest first, ties by number. */
function fallingPositive<P extends readonly [concept: number, difference: number]>(all: readonly P[]): P[] {
  return all.filter(([, value]) => value > 0).sort(([i, a], [j, b]) => b - a || i - j);
}

/**
 * Fewest concepts whose removal makes `difference` negative by the linear sum: the largest ones first. `differences` by
 * concept, those of the class that is ahead. Null where even all positive ones do not suffice.
 */
export function smallestFlip(
  difference: number,
  differences: readonly (readonly [concept: number, difference: number])[],
): { readonly concepts: readonly number[]; readonly left: number } | null {
  const concepts: number[] = [];
  let left = difference;
  for (const [concept, value] of fallingPositive(differences)) {
    if (left < 0) break;
    left -= value;
    concepts.push(concept);
  }
  return left < 0 ? { concepts, left } : null;
}

async function findFlip(
  pass: EditPass,
  image: ExplainImage,
  spec: ModelSpec,
  pair: { winner: number; loser: number },
  difference: number,
  differences: readonly (readonly [number, number])[],
): Promise<Flip> {
  const { winner, loser } = pair;
  const found = smallestFlip(difference, differences);
  const order = fallingPositive(differences).map(([concept]) => concept);
  const without = async (count: number) => {
    const factors = new Float32Array(pass.latents).fill(1);
    for (const concept of order.slice(0, count)) factors[concept] = 0;
    const [{ after }] = await pass.scores(graphImages(image), factors);
    return { after, difference: after[winner] - after[loser] };
  };
  const predicted = found === null ? null : await without(found.concepts.length);
  let recomputed: { count: number; after: Float32Array } | null = null;
  for (let count = 1; count <= Math.min(order.length, MOST_TRIES); count++) {
    const tried = await without(count);
    if (tried.difference >= 0) continue;
    recomputed = { count, after: tried.after };
    break;
  }
  // The predicted set may be larger than what is tried one by one.
  if (recomputed === null && found !== null && predicted !== null && predicted.difference < 0)
    recomputed = { count: found.concepts.length, after: predicted.after };
  return {
    winner,
    loser,
    predicted: found?.concepts ?? null,
    predictedDifference: found?.left ?? null,
    recomputedDifference: predicted?.difference ?? null,
    recomputed: recomputed === null ? null : order.slice(0, recomputed.count),
    answer: recomputed === null ? null : scoredClass(spec, recomputed.after, argMax(recomputed.after)),
  };
}

/** Ledger of one class, or of the difference (`versus`) of two. */
function ledgerOf(
  pass: EditPass,
  subject: string,
  left: number,
  one: ImageEditAttribution,
  versus: ImageEditAttribution | null,
  tolerance: number,
): Ledger {
  const less = (a: ArrayLike<number>, b: ArrayLike<number> | undefined): number[] =>
    Array.from(a, (v, i) => v - (b?.[i] ?? 0));
  const constants = less(one.constants, versus?.constants);
  return formLedger({
    side: 'logit',
    subject,
    left,
    terms: less(one.contributions, versus?.contributions),
    termsName: 'concepts',
    constants: pass.constants.map((name, i) => ({ name: `constant of ${name}`, value: constants[i] })),
    tolerance,
  });
}

/** Compares two classes of one image. Throws FactError E_NOT_FINITE. */
export async function compareClasses(
  pass: EditPass,
  image: ExplainImage,
  choice: VersusChoice,
  options: { readonly spec: ModelSpec; readonly tolerance: number },
): Promise<VersusResult> {
  const { spec, tolerance } = options;
  const images = graphImages(image);
  const same = new Float32Array(pass.latents).fill(1);
  const [scores] = await pass.scores(images, same);
  for (const row of [scores.alone, scores.before]) checkScores(spec, image.name, row);
  const pair = chooseVersus(scores.before, image.trueClass, choice);
  const [a] = await pass.attribute(images, same, [{ for: pair.for, versus: null }]);
  const [b] = await pass.attribute(images, same, [{ for: pair.versus, versus: null }]);
  const concepts = compareConcepts(a.contributions, b.contributions);
  const difference = scores.before[pair.for] - scores.before[pair.versus];
  const sign = difference < 0 ? -1 : 1;
  const [winner, loser] = sign < 0 ? [pair.versus, pair.for] : [pair.for, pair.versus];
  const scored = (index: number): ScoredClass => scoredClass(spec, scores.before, index);
  const names = [scored(pair.for).name, scored(pair.versus).name];
  return {
    image: image.name,
    tap: pass.tap,
    reason: pair.reason,
    for: scored(pair.for),
    versus: scored(pair.versus),
    predicted: scored(argMax(scores.before)),
    predictedAlone: scoredClass(spec, scores.alone, argMax(scores.alone)),
    trueClass: image.trueClass === null ? null : scored(image.trueClass),
    difference,
    concepts,
    constants: pass.constants.map((name, i) => ({ name, for: a.constants[i], versus: b.constants[i] })),
    ledgers: [
      ledgerOf(pass, `logit of ${names[0]} less that of ${names[1]}`, difference, a, b, tolerance),
      ledgerOf(pass, `logit of ${names[0]}, before its bias`, scores.before[pair.for], a, null, tolerance),
      ledgerOf(pass, `logit of ${names[1]}, before its bias`, scores.before[pair.versus], b, null, tolerance),
    ],
    flip: await findFlip(
      pass,
      image,
      spec,
      { winner, loser },
      Math.abs(difference),
      concepts.map((one) => [one.concept, sign * one.difference] as const),
    ),
  };
}
