import type { CheckpointErrors } from '../checkpointError.js';
import type { PickleValue } from './pickleValues.js';

/** What a pickle machine is given. */
export interface PickleContext {
  readonly errors: CheckpointErrors;
  /** Name of the stream for messages, e.g. `archive/data.pkl`. */
  readonly stream: string;
  /** Meaning of a persistent id (tensor storages). */
  readonly persistent: (id: PickleValue, where: string) => PickleValue;
}

/** Where a call, a name or a state stands in a pickle, for errors and limits. */
export interface PickleSite {
  readonly errors: CheckpointErrors;
  /** Stream and byte offset. */
  readonly where: string;
  /** Counts values and bytes of text that are about to be built. Throws too_large beyond the limits. */
  readonly charge: (values: number, text: number) => void;
}
