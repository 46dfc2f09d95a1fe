import type { Explainer, TargetChoice } from './explainer.js';
import type { ExplainImage, Explanation } from './explanation.js';
import type { ImageFiles } from './imageFiles.js';

/** Pixels that one call computes on, at most: bounds memory and the time to the first result. */
const PIXELS_A_CALL = 8 * 64 * 64;
const LARGEST_GROUP = 8;

/** Pictures a call for a network of this input size and this many pictures in all. */
export function groupSize(height: number, width: number, total: number): number {
  return Math.max(1, Math.min(LARGEST_GROUP, total, Math.floor(PIXELS_A_CALL / (height * width))));
}

/** A group filled up to `size` with its last picture, so that every call has the shape that is compiled already. */
export function filledGroup(group: readonly ExplainImage[], size: number): ExplainImage[] {
  const last = group[group.length - 1];
  return Array.from({ length: size }, (_, i) => group[i] ?? last);
}

/** Explains pictures group by group; each explanation is handed on as soon as it is there. */
export async function* explainFiles(
  explainer: Explainer,
  files: ImageFiles,
  size: number,
  choice: TargetChoice,
): AsyncGenerator<Explanation> {
  for await (const group of files.groups(size)) {
    const explained = await explainer.explain(filledGroup(group, size), choice);
    yield* explained.slice(0, group.length);
  }
}
