/*
 * An edit of one image as plain data. For each class of interest: the logit, what the exact sum predicts, the same
 * recomputed with the dynamic factors of the original image held (a check: equal to 1e-5), and what a true forward pass of
 * the edited code gives (not equal: the factors follow the features).
 */
import { argMax } from '../../../core/argMax.js';
import { className } from '../../../models/classes.js';
import type { ModelSpec } from '../../../models/spec.js';
import type { ExplainImage } from '../../explanation.js';
import { checkScores, graphImages } from '../graph/graphImage.js';
import type { EditPass, ImageEditAttribution } from './editPass.js';
import type { EditPlan, EditStep } from './editPlan.js';

/** One class in an edit. Logits with their bias. */
export interface EditClass {
  readonly index: number;
  readonly name: string;
  readonly before: number;
  /** before + sum over concepts of (factor - 1) contribution. */
  readonly predicted: number;
  /** Recomputed from the edited features with the factors of the original held. */
  readonly held: number;
  /** A true forward pass of the edited features. */
  readonly after: number;
  /** |held - predicted| / sum of |terms|: the check. */
  readonly heldError: number;
}

/** What an edited concept gave to the answer. */
export interface EditedConcept extends EditStep {
  /** Contribution to the class that the network answered before the edit. */
  readonly contribution: number;
}

export interface EditResult {
  readonly image: string;
  readonly tap: string;
  readonly trueClass: number | null;
  readonly predictedBefore: number;
  readonly predictedAfter: number;
  /** Of the network without the autoencoder. */
  readonly predictedAlone: number;
  readonly concepts: readonly EditedConcept[];
  /** Concepts that gave the answer anything and became 0. */
  readonly removed: number;
  /** Highest logits before the edit, falling; then other classes of interest. */
  readonly classes: readonly EditClass[];
  readonly tolerance: number;
  readonly holds: boolean;
}

export interface EditOptions {
  readonly spec: ModelSpec;
  /** Classes with the highest logits before and after that are shown. */
  readonly top: number;
  /** Classes that are shown too. */
  readonly wanted: readonly number[];
  readonly tolerance: number;
}

/** What the exact sum predicts of a target's score after an edit, and the sum of the absolute values of its terms. */
export function predictEdit(
  { before, contributions, constants }: Omit<ImageEditAttribution, 'held'>,
  factors: ArrayLike<number>,
): { score: number; absolute: number } {
  let score = before;
  let absolute = 0;
  for (let c = 0; c < contributions.length; c++) {
    score += (factors[c] - 1) * contributions[c];
    absolute += Math.abs(contributions[c]) * Math.max(1, Math.abs(factors[c]));
  }
  for (const constant of constants) absolute += Math.abs(constant);
  return { score, absolute };
}

/** Relative error of the held recomputation; 0 / 0 is 0, what is no number is infinite. */
export function heldErrorOf(attribution: ImageEditAttribution, factors: ArrayLike<number>): number {
  const { score, absolute } = predictEdit(attribution, factors);
  const residual = Math.abs(attribution.held - score);
  const error = residual === 0 ? 0 : residual / absolute;
  return Number.isNaN(error) ? Number.POSITIVE_INFINITY : error;
}

/** Numbers of the highest scores, falling; ties by number. */
export function highest(scores: ArrayLike<number>, count: number): number[] {
  return Array.from({ length: scores.length }, (_, i) => i)
    .sort((a, b) => scores[b] - scores[a] || a - b)
    .slice(0, count);
}

/** Applies an edit to one image. Throws FactError E_NOT_FINITE. */
export async function editImage(
  pass: EditPass,
  image: ExplainImage,
  plan: EditPlan,
  options: EditOptions,
): Promise<EditResult> {
  const { spec, top, wanted, tolerance } = options;
  const images = graphImages(image);
  const [scores] = await pass.scores(images, plan.factors);
  for (const row of [scores.alone, scores.before, scores.after]) checkScores(spec, image.name, row);
  const bias = spec.logitBias ?? 0;
  const chosen = new Set([
    ...highest(scores.before, top),
    ...highest(scores.after, 1),
    ...wanted,
    ...(image.trueClass === null ? [] : [image.trueClass]),
  ]);
  const classes: EditClass[] = [];
  let answer: Float32Array = new Float32Array(pass.latents);
  const predictedBefore = argMax(scores.before);
  for (const index of chosen) {
    const [found] = await pass.attribute(images, plan.factors, [{ for: index, versus: null }]);
    if (index === predictedBefore) answer = found.contributions;
    classes.push({
      index,
      name: className(spec, index),
      before: scores.before[index] + bias,
      predicted: predictEdit(found, plan.factors).score + bias,
      held: found.held + bias,
      after: scores.after[index] + bias,
      heldError: heldErrorOf(found, plan.factors),
    });
  }
  return {
    image: image.name,
    tap: pass.tap,
    trueClass: image.trueClass,
    predictedBefore,
    predictedAfter: argMax(scores.after),
    predictedAlone: argMax(scores.alone),
    concepts: plan.steps.map((step) => ({ ...step, contribution: answer[step.concept] })),
    removed: answer.reduce((n, v, c) => n + (v !== 0 && plan.factors[c] === 0 ? 1 : 0), 0),
    classes,
    tolerance,
    holds: classes.every(({ heldError }) => heldError <= tolerance),
  };
}
