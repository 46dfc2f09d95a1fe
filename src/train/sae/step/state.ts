/*
 * The state of an autoencoder in training, by architecture: what a checkpoint holds. K latents, C channels, M points.
 */

import type { SaeArchitecture } from '../../../explain/sae.js';

export type { SaeArchitecture };

export type StateName = string;

/** One variable of the state. */
export interface StateEntry {
  readonly name: StateName;
  readonly shape: readonly number[];
  readonly isInteger: boolean;
}

/** Names of the state of `topk`. */
const STATE_NAMES: readonly StateName[] = [
  'encoder',
  'decoder_rows',
  'encoder.moment1',
  'encoder.moment2',
  'decoder_rows.moment1',
  'decoder_rows.moment2',
  'counters',
  'activity',
];

/** Of `batchtopk`: the threshold so far (negative: none yet) and the places of a row's code in training. */
export const SELECTION = 'selection';
/** Of `batchtopk`: share of rows by number of activations: see threshold.ts. */
export const ACTIVE = 'active';

const ARCHETYPAL_NAMES: readonly StateName[] = [
  'encoder',
  'decoder_rows',
  'encoder.moment1',
  'encoder.moment2',
  'mixture',
  'mixture.moment1',
  'mixture.moment2',
  'relaxation',
  'relaxation.moment1',
  'relaxation.moment2',
  'points',
  'counters',
  'activity',
];

const INTEGERS: readonly StateName[] = ['counters', 'activity'];

/** The variables of an architecture, in the order in which a checkpoint holds them. `points` matters to archetypal, `bins` to batchtopk. */
export function stateEntries(
  architecture: SaeArchitecture,
  { channels, latents, points, bins }: { channels: number; latents: number; points: number; bins: number },
): readonly StateEntry[] {
  const names =
    architecture === 'archetypal'
      ? ARCHETYPAL_NAMES
      : architecture === 'batchtopk'
        ? [...STATE_NAMES, SELECTION, ACTIVE]
        : STATE_NAMES;
  const shapeOf = (name: StateName): readonly number[] => {
    if (INTEGERS.includes(name)) return [latents];
    if (name === SELECTION) return [2];
    if (name === ACTIVE) return [bins];
    if (name === 'points') return [points, channels];
    return name.startsWith('mixture') ? [latents, points] : [latents, channels];
  };
  return names.map((name) => ({ name, shape: shapeOf(name), isInteger: INTEGERS.includes(name) }));
}
