import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { showProgress } from '../core/progress.js';
import { listImages } from '../data/listImages.js';
import { startEngine } from '../engine/start.js';
import { resolveClass } from '../explain/classes.js';
import type { TargetChoice } from '../explain/explainer.js';
import { DEFAULT_TOP } from '../explain/explainer.js';
import { explainFiles, groupSize } from '../explain/explainFiles.js';
import type { Explanation } from '../explain/explanation.js';
import { ImageFiles } from '../explain/imageFiles.js';
import { DEFAULT_TOLERANCE } from '../explain/ledger.js';
import { type ExplainSession, openSession } from '../explain/session.js';
import { headline, ledgerLine, signedPercent } from '../explain/words.js';
import { checkOutput, writeReport } from '../explain/writeReport.js';
import type { ModelSpec } from '../models/spec.js';
import { type CliContext, collect, runVerb, usageError, verb } from './context.js';
import { packageVersion } from './version.js';

/** Where a report goes when no folder is named. */
const DEFAULT_OUT = 'explanation';
const LINE_CONCEPTS = 3;

export interface ExplainFlags {
  readonly model?: string;
  readonly sae?: readonly string[];
  readonly class?: string;
  readonly versus?: string;
  readonly top?: string;
  readonly out?: string;
  readonly tolerance?: string;
}

/** A whole number of at least 1. Throws FactError E_USAGE. */
export function countOf(name: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1) return value;
  throw usageError(
    `--${name} "${text}" is not a positive whole number`,
    `Give a number such as --${name} ${fallback}.`,
  );
}

/** A tolerance: a positive number. Throws FactError E_USAGE. */
function toleranceOf(text: string | undefined): number {
  if (text === undefined) return DEFAULT_TOLERANCE;
  const value = Number(text);
  if (text.trim() !== '' && Number.isFinite(value) && value > 0) return value;
  throw usageError(
    `--tolerance "${text}" is not a positive number`,
    'Give a number such as --tolerance 1e-5.',
  );
}

/** Starts the engine and opens network and autoencoders; says on standard error what is used. */
export async function openForVerb(
  context: CliContext,
  flags: Pick<ExplainFlags, 'model' | 'sae' | 'top' | 'tolerance'>,
): Promise<ExplainSession> {
  const top = countOf('top', flags.top, DEFAULT_TOP);
  const tolerance = toleranceOf(flags.tolerance);
  const engine = await startEngine({
    engine: context.engine,
    compile: context.compile,
    ...(context.threads === undefined ? {} : { threads: context.threads }),
  });
  const session = await openSession({
    top,
    tolerance,
    ...(flags.model === undefined ? {} : { model: flags.model }),
    ...(flags.sae === undefined ? {} : { saes: flags.sae }),
  });
  const { sae } = session.explainer;
  context.log.info(
    `network ${session.model.spec.arch} of ${session.modelFolder}, ${sae === null ? 'no autoencoder' : `${sae.latents} concepts at ${sae.tap}`}, engine ${engine.name}`,
  );
  if (sae === null) {
    context.log.warn(
      'no autoencoder lies with the network: pixels are explained, concepts are not (--sae FOLDER)',
    );
  }
  return session;
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

async function run(context: CliContext, paths: readonly string[], flags: ExplainFlags): Promise<number> {
  const out = resolve(flags.out ?? DEFAULT_OUT);
  checkOutput(out);
  const images = listImages(paths);
  const session = await openForVerb(context, flags);
  try {
    const { explainer, model } = session;
    const choice = chooseTarget(model.spec, flags);
    const files = new ImageFiles(images, model.spec);
    const size = groupSize(...model.spec.preprocessing.crop, images.length);
    const progress = showProgress('explaining', images.length, 'images', context.quiet);
    const lines: string[] = [];
    try {
      const report = await writeReport(
        out,
        session.context('explain', packageVersion()),
        model.spec.preprocessing,
        explainFiles(explainer, files, size, choice),
        files.skipped,
        (e, done) => {
          lines.push(lineOf(e));
          progress.update(done + files.skipped.length);
        },
      );
      progress.stop();
      for (const skipped of files.skipped) context.log.warn(`skipped: ${skipped.message}`);
      const { summary } = report;
      const counted = `${summary.images} explained${summary.skipped > 0 ? `, ${summary.skipped} skipped` : ''}${summary.failed > 0 ? `, ${summary.failed} sums DO NOT HOLD` : ''}`;
      context.print([...lines, `${counted}: ${join(out, 'index.html')}`].join('\n'), report);
      return summary.failed > 0 ? 1 : 0;
    } finally {
      progress.stop();
    }
  } finally {
    session.dispose();
  }
}

/** `fact explain IMAGE...` */
export function register(program: Command): void {
  verb(program, 'explain', 'why the network says what it says: a report with pictures, concepts and sums')
    .argument('<images...>', 'picture files, or folders of pictures')
    .option('--model <folder>', 'network (default: the one that comes with this program)')
    .option(
      '--sae <folder>',
      'autoencoder; twice for traces between two taps (default: those that lie with the network)',
      collect,
    )
    .option('--class <name>', 'class to explain, by name or number (default: what the network answers)')
    .option(
      '--versus <name>',
      'class to compare with (default: the true class of a wrong answer, from the folder name)',
    )
    .option('--top <n>', `concepts shown one by one (default: ${DEFAULT_TOP})`)
    .option('--out <folder>', `folder of the report (default: ${DEFAULT_OUT})`)
    .option('--tolerance <number>', `largest relative error of a sum (default: ${DEFAULT_TOLERANCE})`)
    .action((images: string[], flags: ExplainFlags, command: Command) =>
      runVerb(command, (context) => run(context, images, flags)),
    );
}
