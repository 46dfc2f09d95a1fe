import { constants } from 'node:os';
import type { CliContext } from './context.js';

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;
type Handled = (typeof SIGNALS)[number];

function statusOf(signal: Handled): number {
  return 128 + constants.signals[signal];
}

/**
 * Runs work that can be stopped: the first Ctrl-C (or SIGTERM) aborts `signal`, so that the work finishes its step and
 * saves; the second ends the process at once. `exitStatus()` is 130 or 143 after a signal, by its number.
 */
export async function withSignals<T>(
  work: (signal: AbortSignal, exitStatus: () => number) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  let status = 0;
  const listeners = SIGNALS.map((name) => {
    const listener = (): void => {
      if (controller.signal.aborted) process.exit(statusOf(name));
      status = statusOf(name);
      process.stderr.write('\nstopping after this step; once more to stop at once\n');
      controller.abort();
    };
    process.on(name, listener);
    return { name, listener };
  });
  try {
    return await work(controller.signal, () => status);
  } finally {
    for (const { name, listener } of listeners) process.off(name, listener);
  }
}

/** Work that an interrupt ends early: what it throws then becomes one line and the signal's exit status. */
export async function stoppable(
  context: CliContext,
  work: (signal: AbortSignal, exitStatus: () => number) => Promise<number>,
): Promise<number> {
  return withSignals(async (signal, exitStatus) => {
    try {
      return await work(signal, exitStatus);
    } catch (error) {
      if (!signal.aborted || error !== signal.reason) throw error;
      context.log.warn('stopped; nothing was finished');
      return exitStatus();
    }
  });
}
