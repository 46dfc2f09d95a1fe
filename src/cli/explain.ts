import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { showProgress } from '../core/progress.js';
import { listImages } from '../data/listImages.js';
import type { TargetChoice } from '../explain/baseExplainer.js';
import type { Explanation } from '../explain/explanation.js';
import { checkOutput, type ReportEntry, ReportFolder } from '../explain/report/reportFolder.js';
import type { ReportSummary } from '../explain/report/reportSchema.js';
import { headline, ledgerLine, signedPercent } from '../explain/report/words.js';
import { groupSize, runFiles } from '../explain/session/explainFiles.js';
import { resolveClass } from '../models/classes.js';
import type { ModelSpec } from '../models/spec.js';
import { type CliContext, runVerb, usageError, verb } from './context.js';
import { openForVerb, type SessionFlags, warnSkipped, withSessionOptions } from './explainOptions.js';
import { withSignals } from './signals.js';
import { packageVersion } from './version.js';

/** Where a report goes when no folder is named. */
const DEFAULT_OUT = 'explanation';
const LINE_CONCEPTS = 3;

interface ExplainFlags extends SessionFlags {
  readonly class?: string;
  readonly versus?: string;
  readonly out?: string;
}

function chooseTarget(spec: ModelSpec, flags: ExplainFlags): TargetChoice {
  const wanted = flags.class === undefined ? undefined : resolveClass(spec, flags.class);
  const versus = flags.versus === undefined ? undefined : resolveClass(spec, flags.versus);
  if (wanted !== undefined && wanted === versus) {
    throw usageError(
      '--class and --versus name the same class',
      'Name two classes to compare, or leave --versus out.',
    );
  }
  return { ...(wanted === undefined ? {} : { for: wanted }), ...(versus === undefined ? {} : { versus }) };
}

function lineOf(e: Explanation): string {
  const concepts = e.concepts
    .slice(0, LINE_CONCEPTS)
    .map((c) => `concept ${c.concept} ${signedPercent(c.share)}`)
    .join(', ');
  return `${e.image.name}: ${headline(e)}${concepts === '' ? '' : ` ${concepts}.`} ${ledgerLine(e)}`;
}

function counted({ images, skipped, failed }: ReportSummary): string {
  return `${images} explained${skipped > 0 ? `, ${skipped} skipped` : ''}${failed > 0 ? `, ${failed} sums DO NOT HOLD` : ''}`;
}

async function run(context: CliContext, paths: readonly string[], flags: ExplainFlags): Promise<number> {
  const out = resolve(flags.out ?? DEFAULT_OUT);
  checkOutput(out);
  const listed = listImages(paths);
  const sizeOf = (height: number, width: number): number => groupSize(height, width, listed.length);
  const session = await openForVerb(context, flags, sizeOf);
  try {
    return await withSignals(async (signal, exitStatus) => {
      const { spec, explainer } = session;
      const choice = chooseTarget(spec, flags);
      const size = sizeOf(...spec.preprocessing.crop);
      const folder = new ReportFolder(
        out,
        session.context('explain', packageVersion()),
        spec.preprocessing,
        { ...choice, autoencoders: session.fingerprints },
        size,
      );
      const progress = showProgress('explaining', listed.length, 'images', context.quiet);
      try {
        const run = await runFiles<ReportEntry>({
          paths: listed,
          spec,
          size,
          journal: folder.journal,
          done: folder.done,
          compute: async (images, places) => {
            const explained = (await explainer.explain(images, choice)).slice(0, places.length);
            return Promise.all(explained.map((e, i) => folder.draw(e, places[i], lineOf(e))));
          },
          onResult: (_, done) => progress.update(done),
          signal,
        });
        progress.stop();
        if (run.resumed > 0)
          context.log.info(`${run.resumed} of ${listed.length} pictures were explained by an earlier run`);
        warnSkipped(context, run.skipped);
        if (run.isStopped) {
          const { summary } = folder.write(run.results, run.skipped);
          context.log.warn(
            `stopped: ${counted(summary)} of ${listed.length} so far, in ${folder.partial}; the same command goes on from there`,
          );
          return exitStatus();
        }
        const report = folder.finish(run.results, run.skipped);
        const lines = run.results.map(({ line }) => line);
        const { summary } = report;
        context.print([...lines, `${counted(summary)}: ${join(out, 'index.html')}`].join('\n'), report);
        return summary.failed > 0 || summary.skipped > 0 ? 1 : 0;
      } finally {
        progress.stop();
        folder.close();
      }
    });
  } finally {
    await session.close();
  }
}

/** `fact explain IMAGE...` */
export function register(program: Command): void {
  const command = verb(
    program,
    'explain',
    'why the network says what it says: a report with pictures, concepts and sums',
  ).argument('<images...>', 'picture files, or folders of pictures');
  withSessionOptions(command, 'concepts shown one by one')
    .option('--class <name>', 'class to explain, by name or number (default: what the network answers)')
    .option(
      '--versus <name>',
      'class to compare with (default: the true class of a wrong answer, from the folder name)',
    )
    .option(
      '--out <folder>',
      `folder of the report (default: ${DEFAULT_OUT}); an unfinished one there is gone on with`,
    )
    .action((images: string[], flags: ExplainFlags, command: Command) =>
      runVerb(command, (context) => run(context, images, flags)),
    );
}
