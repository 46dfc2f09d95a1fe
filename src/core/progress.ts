import { SingleBar } from 'cli-progress';

/** Progress of long work. `update` may be called often; `stop` ends the display. */
export interface Progress {
  update(done: number, note?: string): void;
  stop(): void;
}

export const silentProgress: Progress = { update: () => {}, stop: () => {} };

const LINE_INTERVAL_MS = 10_000;

function clock(seconds: number): string {
  if (!Number.isFinite(seconds)) return '--:--';
  const s = Math.max(0, Math.round(seconds));
  const hours = Math.floor(s / 3600);
  const rest = `${String(Math.floor((s % 3600) / 60)).padStart(2, '0')}:${String(s % 60).padStart(2, '0')}`;
  return hours > 0 ? `${hours}:${rest}` : rest;
}

/**
 * Shows progress on standard error: a bar with rate and time left on a terminal, a plain line now and then otherwise.
 * @param unit what is counted, e.g. "images"
 */
export function showProgress(title: string, total: number, unit: string, quiet = false): Progress {
  if (quiet) return silentProgress;
  const start = Date.now();
  let first: { readonly done: number; readonly time: number } | null = null;
  const rate = (count: number, since: number): number => count / Math.max(1e-3, (Date.now() - since) / 1000);
  // Work that is gone on with begins with what was done before, which the rate since the first report leaves out; that
  // rate says nothing where the first reports come all at once.
  const rateOf = (done: number): number => {
    const whole = rate(done, start);
    if (first === null || done <= first.done) return whole;
    return Math.min(whole, rate(done - first.done, first.time));
  };
  const textOf = (done: number, note: string): string => {
    const now = rateOf(done);
    return `${now >= 10 ? now.toFixed(0) : now.toFixed(2)} ${unit}/s, ${clock((total - done) / now)} left${note ? `, ${note}` : ''}`;
  };
  if (process.stderr.isTTY) {
    const bar = new SingleBar({
      format: `${title} [{bar}] {value}/{total} ${unit}, {text}`,
      stream: process.stderr,
      hideCursor: true,
      clearOnComplete: true,
    });
    bar.start(total, 0, { text: '' });
    return {
      update: (done, note = '') => {
        first ??= { done, time: Date.now() };
        bar.update(done, { text: textOf(done, note) });
      },
      stop: () => bar.stop(),
    };
  }
  let last = start;
  return {
    update: (done, note = '') => {
      const now = Date.now();
      first ??= { done, time: now };
      if (now - last < LINE_INTERVAL_MS && done < total) return;
      last = now;
      process.stderr.write(`${title}: ${done}/${total} ${unit}, ${textOf(done, note)}\n`);
    },
    stop: () => {},
  };
}
