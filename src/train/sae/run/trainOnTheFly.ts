import { type Progress, showProgress, silentProgress } from '../../../core/progress.js';
import type { SaeTrainConfig } from '../config.js';
import type { OnTheFly } from '../features/onTheFly.js';
import { Rebatcher } from '../features/rebatcher.js';
import { PassZero } from './passZero.js';
import { SaeRun, type SaeRunOptions, type SaeRunResult } from './saeRun.js';

/** One of the autoencoders that are trained together. */
export interface OnTheFlyJob {
  readonly config: SaeTrainConfig;
  /** Number of its tap among those read. */
  readonly tap: number;
  readonly options: SaeRunOptions;
}

interface Member {
  readonly run: SaeRun;
  /** Whether an update of it failed. */
  failed?: boolean;
  readonly tap: number;
  readonly channels: number;
}

/** Gives new runs what they need of pass 0, all from one pass. */
async function beginAll(members: readonly Member[], features: OnTheFly, signal?: AbortSignal): Promise<void> {
  const fresh = members.filter(({ run }) => run.needsStart);
  const zeros = fresh.map(({ run, channels }) => ({
    zero: new PassZero(run.config, channels),
    cut: new Rebatcher(channels, run.batchRows),
  }));
  const isFull = (): boolean => zeros.every(({ zero }) => zero.isFull);
  if (fresh.length > 0) {
    for await (const block of features.blocks(0)) {
      signal?.throwIfAborted();
      zeros.forEach(({ zero, cut }, i) => {
        for (const values of cut.add(block[fresh[i].tap])) zero.add(values);
      });
      if (isFull()) break;
    }
    for (const { zero, cut } of zeros) {
      const rest = cut.rest();
      if (!zero.isFull && rest !== null) zero.add(rest);
    }
  }
  for (const { run } of members) {
    const at = fresh.findIndex((member) => member.run === run);
    await run.begin(at < 0 ? null : await zeros[at].zero.result());
  }
}

/** One epoch of those runs that stand in it, from the earliest block that one of them still needs. */
async function runEpoch(
  members: readonly Member[],
  features: OnTheFly,
  epoch: number,
  onUpdate: (note: string) => void,
): Promise<void> {
  const used = ({ run }: Member): number => run.position.batch * run.batchRows;
  const first = Math.min(...members.map((member) => features.blockOf(member.tap, used(member))));
  const cuts = members.map((member) => {
    const skip = used(member) - features.rowsBefore(member.tap, first);
    return new Rebatcher(member.channels, member.run.batchRows, skip);
  });
  const feed = async (member: Member, values: Float32Array): Promise<void> => {
    const { run } = member;
    member.failed = true;
    const { loss, dead } = await run.feed(values);
    member.failed = false;
    onUpdate(`${run.features.tap}: loss ${loss.toFixed(4)}, dead ${dead}`);
  };
  const wants = ({ run }: Member): boolean => run.result === null && run.position.epoch === epoch;
  for await (const block of features.blocks(epoch, first)) {
    for (const [i, member] of members.entries()) {
      for (const values of cuts[i].add(block[member.tap])) {
        if (!wants(member)) break;
        await feed(member, values);
      }
    }
    if (members.some(({ run }) => run.result?.status === 'stopped')) return;
    if (!members.some(wants)) return;
  }
  for (const [i, member] of members.entries()) {
    const rest = cuts[i].rest();
    if (rest !== null && wants(member)) await feed(member, rest);
  }
}

/** Saves those that have not ended, after a stop of one of them or of the reading. */
async function stopAll(members: readonly Member[]): Promise<void> {
  for (const { run } of members) if (run.result === null) await run.stop();
}

/** After a failure of one run: saves what the others have, as far as that can be done. */
async function keepOthers(members: readonly Member[]): Promise<void> {
  const others = members.filter(({ run, failed }) => run.result === null && failed !== true);
  // A full disk fails here once more; the first failure is the one to be told.
  await Promise.allSettled(others.map(({ run }) => run.stop()));
}

/**
 * Trains several autoencoders, of one tap or of several, in one pass over the images per epoch. Each ends with the bits
 * of a training of its own on `features.source(tap)`. With an aborted signal every run is saved and `stopped`.
 * Throws as `trainSae`, and the image loader's errors.
 */
export async function trainOnTheFly(
  features: OnTheFly,
  jobs: readonly OnTheFlyJob[],
  options: { readonly signal?: AbortSignal; readonly progress?: boolean } = {},
): Promise<SaeRunResult[]> {
  const { signal } = options;
  const members: Member[] = [];
  try {
    for (const { config, tap, options: own } of jobs) {
      const source = features.source(tap);
      members.push({ run: SaeRun.open(config, source, own), tap, channels: source.channels });
    }
    await beginAll(members, features, signal);
    const progress = progressOf(members, options.progress === true);
    try {
      await runAll(members, features, progress.update, signal);
    } finally {
      progress.stop();
    }
    return members.map(({ run }) => {
      if (run.result === null) throw new Error(`${run.folder}: the run did not end`);
      return run.result;
    });
  } finally {
    for (const { run } of members) run.close();
  }
}

async function runAll(
  members: readonly Member[],
  features: OnTheFly,
  onUpdate: (note: string) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  try {
    for (;;) {
      const open = members.filter(({ run }) => run.result === null);
      if (open.length === 0 || members.some(({ run }) => run.result?.status === 'stopped')) break;
      const epoch = Math.min(...open.map(({ run }) => run.position.epoch));
      const those = open.filter(({ run }) => run.position.epoch === epoch);
      await runEpoch(those, features, epoch, onUpdate);
    }
  } catch (error) {
    if (signal?.aborted !== true || error !== signal.reason) {
      await keepOthers(members);
      throw error;
    }
  }
  if (signal?.aborted === true) await stopAll(members);
}

function progressOf(
  members: readonly Member[],
  isShown: boolean,
): { update: (note: string) => void; stop: () => void } {
  const left = members.reduce((sum, { run }) => sum + run.updatesInAll - run.updates, 0);
  const progress: Progress = isShown ? showProgress('training', left, 'updates') : silentProgress;
  let done = 0;
  return { update: (note) => progress.update(++done, note), stop: () => progress.stop() };
}
