import type { GraphParts } from '../graph.js';
import { foldChannelFactors } from './channelFactors.js';
import { joinInverseChannels } from './inverseChannels.js';
import { oneHotAsRow } from './oneHotRows.js';
import { nameResults } from './outputNames.js';
import { transposedAsPhases } from './phases.js';
import { sumSquares } from './squareSums.js';
import { skipZeroBlocks } from './zeroBlocks.js';

/**
 * Exact rewritings of a traced graph before it is written: the same numbers (up to rounding), fewer or faster nodes.
 * They look at nodes only, never at what network the graph came from. Order matters: see `PASSES`.
 */
export type Pass = (parts: GraphParts) => GraphParts;

/** In the order in which they run. */
export const PASSES: readonly (readonly [name: string, pass: Pass])[] = [
  ['one-hot rows', oneHotAsRow],
  ['zero blocks', skipZeroBlocks],
  ['channel factors', foldChannelFactors],
  ['inverse channels', joinInverseChannels],
  ['phases', transposedAsPhases],
  ['square sums', sumSquares],
  ['output names', nameResults],
];

/** Runs all passes. */
export function optimise(parts: GraphParts): GraphParts {
  return PASSES.reduce((current, [, pass]) => pass(current), parts);
}
