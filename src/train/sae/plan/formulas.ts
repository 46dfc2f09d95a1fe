/*
 * Memory of training, from sizes. K concepts, C channels, B rows an update, k active ones, all float32:
 *
 *     state     6 K C       encoder, decoder, two moments of each (and two counters of K)
 *     update    4 K C       both gradients, and what the engine copies in and out
 *     saving    6 K C       a copy of the state while a checkpoint is written
 *     batch     6 B C       rows, reconstructions, residuals; responses are made some rows at a time
 *               + 3 B K     for each product at a time, where k is so large that they are dense (products.ts)
 *     reader    rows that wait: two shards of a store, or two blocks of images on the fly
 *     process   the program itself and its compiled graphs
 *
 * The numbers of the lines `update`, `batch` and `process` are fitted to peaks of resident memory (docs/sae-plan.md); a
 * test holds the formula to measured runs.
 */
import { areSparse, runsAtOnce } from '../step/products.js';

const FLOAT = 4;
const STATE = 6;
const UPDATE = 4;
const ROW_COPIES = 6;
const DENSE = 3;
const PROCESS_BYTES = 320e6;

export interface TrainingSize {
  readonly channels: number;
  readonly latents: number;
  readonly k: number;
  readonly batchRows: number;
}

/** Bytes of resident memory, by what they are for. */
export interface TrainingBytes {
  readonly state: number;
  readonly update: number;
  readonly saving: number;
  readonly batch: number;
  readonly reader: number;
  readonly process: number;
  readonly total: number;
}

/** Memory of a training run at its peak; `reader` as the caller knows it. */
export function trainingBytes(size: TrainingSize, reader = 0): TrainingBytes {
  const { channels, latents, k, batchRows } = size;
  const weights = FLOAT * latents * channels;
  const responses = areSparse(latents, k) ? 0 : DENSE * runsAtOnce();
  const parts = {
    state: STATE * weights + 2 * FLOAT * latents,
    update: UPDATE * weights,
    saving: STATE * weights,
    batch: FLOAT * batchRows * (responses * latents + ROW_COPIES * channels),
    reader,
    process: PROCESS_BYTES,
  };
  return { ...parts, total: Object.values(parts).reduce((sum, bytes) => sum + bytes, 0) };
}

/** Bytes of a checkpoint: the whole state. */
export function checkpointBytes({ channels, latents }: Pick<TrainingSize, 'channels' | 'latents'>): number {
  return FLOAT * (STATE * latents * channels + 2 * latents);
}

/** Updates of all epochs: the reference makes one fewer than it has batches. */
export function updatesOf(rows: number, batchRows: number, epochs: number): number {
  return Math.max(1, epochs * Math.ceil(rows / Math.min(batchRows, rows)) - 1);
}
