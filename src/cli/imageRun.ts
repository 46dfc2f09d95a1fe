import { showProgress } from '../core/progress.js';
import { type FileRun, type FileRunOptions, runFiles } from '../explain/session/explainFiles.js';
import type { ModelSpec } from '../models/spec.js';
import type { CliContext } from './context.js';
import { warnSkipped } from './explainOptions.js';
import { openResultFile, stoppedLine } from './resultFile.js';
import { withSignals } from './signals.js';

/** A verb's work over pictures, one result a picture. */
export interface ImageRun<R> {
  readonly paths: readonly string[];
  readonly spec: ModelSpec;
  /** Pictures a call. */
  readonly size: number;
  /** The file of --out, and what its results depend on (`openResultFile`). */
  readonly out: string | undefined;
  readonly header: { readonly format: string; readonly [what: string]: unknown };
  /** What the progress line says, and what an earlier run did to its pictures: 'verifying', 'verified'. */
  readonly doing: string;
  readonly did: string;
  readonly compute: FileRunOptions<R>['compute'];
  /** A result as it is printed at once, without --json. */
  readonly textOf: (result: R) => string;
  /** Prints what is said at the end, also of a stopped run; the exit status of one that was not stopped. */
  readonly finish: (run: FileRun<R>) => number;
}

/**
 * Runs it with what all such verbs share: --out that is gone on with, progress, Ctrl-C, and the lines about pictures
 * that were done before, skipped or left. Returns the exit status. Throws what `openResultFile` and `runFiles` throw.
 */
export function runOverImages<R>(context: CliContext, work: ImageRun<R>): Promise<number> {
  const { paths, spec, size, out, compute } = work;
  return withSignals(async (signal, exitStatus) => {
    const { journal, done } = openResultFile<R>(out, work.header, size);
    const progress = showProgress(work.doing, paths.length, 'images', context.quiet);
    try {
      const onResult = (result: R, count: number): void => {
        if (!context.json) context.print(work.textOf(result), null);
        progress.update(count);
      };
      const run = await runFiles<R>({ paths, spec, size, journal, done, compute, onResult, signal });
      progress.stop();
      if (run.resumed > 0)
        context.log.info(`${run.resumed} of ${paths.length} pictures were ${work.did} by an earlier run`);
      warnSkipped(context, run.skipped);
      const status = work.finish(run);
      if (!run.isStopped) return status;
      context.log.warn(stoppedLine(run.results.length, paths.length, out));
      return exitStatus();
    } finally {
      progress.stop();
      journal?.close();
    }
  });
}
