import type { Random } from '../../../core/random.js';

/** Floats that FaCT keeps per image: 72 vectors of 512 channels. */
const FLOATS_PER_IMAGE = 72 * 512;

/** Feature vectors kept per image: min(floor(72 * 512 / channels), positions), at least 1. */
export function positionBudget(channels: number, positions: number): number {
  return Math.max(1, Math.min(Math.floor(FLOATS_PER_IMAGE / channels), positions));
}

/** `all`: every position; `budget`: FaCT's 72 * 512 floats per image; a number: so many, at most all. */
export type PositionChoice = 'all' | 'budget' | number;

/** Positions kept per image. */
export function positionsPerImage(choice: PositionChoice, channels: number, positions: number): number {
  if (choice === 'all') return positions;
  return choice === 'budget' ? positionBudget(channels, positions) : Math.min(choice, positions);
}

/** Exponential variates of mean 1. */
export function exponentialVariates(random: Random, count: number): Float64Array {
  return Float64Array.from({ length: count }, () => -Math.log(1 - random.next()));
}

/**
 * Draws `count` positions without replacement with probability proportional to their weight, by the exponential race:
 * the largest weight / variate first. Equal keys (zero weights, say) go by position.
 */
export function drawPositions(
  weights: ArrayLike<number>,
  variates: ArrayLike<number>,
  count: number,
): Int32Array {
  const keys = Float64Array.from({ length: weights.length }, (_, i) => {
    const key = weights[i] / variates[i];
    return Number.isNaN(key) ? 0 : key;
  });
  const order = Int32Array.from({ length: weights.length }, (_, i) => i);
  order.sort((a, b) => (keys[a] === keys[b] ? a - b : keys[a] > keys[b] ? -1 : 1));
  return order.slice(0, count);
}
