type Event = 'uncaughtException' | 'unhandledRejection';

const EVENTS: readonly Event[] = ['uncaughtException', 'unhandledRejection'];

/**
 * Runs `start` and removes the handlers of uncaught errors that it leaves on the process: tfjs's WebAssembly module
 * installs some that throw every error again from its own one-line source, which Node then prints in full. A no-op
 * outside Node.
 */
export async function withoutProcessListeners<R>(start: () => Promise<R>): Promise<R> {
  if (typeof process === 'undefined' || typeof process.listeners !== 'function') return start();
  const before = EVENTS.map((event) => new Set<unknown>(process.listeners(event as 'uncaughtException')));
  try {
    return await start();
  } finally {
    for (const [i, event] of EVENTS.entries()) {
      for (const listener of process.listeners(event as 'uncaughtException'))
        if (!before[i].has(listener)) process.removeListener(event, listener);
    }
  }
}
