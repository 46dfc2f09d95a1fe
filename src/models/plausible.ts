import type { ModelOptions } from './options.js';

/** Options that say how many layers there are. */
const LAYER_COUNTS = ['blocks', 'depth', 'stages', 'convStem'] as const;
/** Options whose numbers are no sizes of weights. */
const NO_SIZES = ['blocks', 'depth', 'logitBias', 'temperature', 'normEpsilon', 'stochasticDepth', 'b'];
/** Sizes up to this are always possible: heads, groups, patches. */
const SMALL = 64;

function numbersOf(value: unknown): number[] {
  if (typeof value === 'number') return [value];
  return Array.isArray(value) ? value.flatMap(numbersOf) : [];
}

/** How many layers a list of counts describes: blocks by their sum, lists of channels by their length. */
function layersOf(key: (typeof LAYER_COUNTS)[number], value: unknown): number {
  const numbers = numbersOf(value);
  const isCount = key === 'blocks' || key === 'depth';
  return isCount ? numbers.reduce((sum, count) => sum + count, 0) : numbers.length;
}

/**
 * True where a network of these options is not much larger than the stored weights, so that a small file cannot ask for
 * a large network: no more layers than weights, no size beyond the longest axis. Names and shapes are compared later.
 */
export function isPlausible(options: ModelOptions, shapes: readonly (readonly number[])[]): boolean {
  let longest = SMALL;
  for (const shape of shapes) for (const size of shape) if (size > longest) longest = size;
  const layers = LAYER_COUNTS.reduce((sum, key) => sum + layersOf(key, options[key]), 0);
  const sizes = Object.entries(options).filter(([key]) => !NO_SIZES.includes(key));
  return (
    layers <= shapes.length && sizes.every(([, value]) => numbersOf(value).every((size) => size <= longest))
  );
}
