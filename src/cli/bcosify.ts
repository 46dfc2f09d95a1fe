import type { BcosifyForm } from '../convert/bcosify/bcosify.js';
import { type BcosifyOptions, type BcosifyReport, bcosifyFile } from '../convert/bcosify/bcosifyFile.js';
import { startEngine } from '../engine/start.js';
import { type CliContext, usageError } from './context.js';

/** What `fact convert --bcosify` takes of the verb's options. */
export interface BcosifyFlags {
  readonly bcosify: string | true;
  readonly arch?: string;
  readonly ema?: boolean;
  readonly prefix?: string;
  readonly force?: boolean;
  readonly dtype?: string;
  readonly check?: boolean;
}

function formOf(flag: string | true): BcosifyForm {
  if (flag === true || flag === 'equal') return 'equal';
  if (flag === 'published') return flag;
  throw usageError(
    `--bcosify ${flag}: there is no such form`,
    'Give --bcosify equal or --bcosify published.',
  );
}

const number = new Intl.NumberFormat('en-US');

function reportText({ source, target, from, to, form, parameters, logits }: BcosifyReport): string {
  const difference = logits.relativeError.toExponential(1);
  return [
    `${source} (${from}) -> ${target} (${to}), ${number.format(parameters)} parameters`,
    form === 'equal'
      ? `logits: equal to the standard network's at B = 1 to ${difference} on ${logits.pictures} random pictures`
      : `logits: ${difference} away from the standard network's; B = 2, no biases, to be fine-tuned`,
    `next: fact train -c configs/bcosify/RECIPE.yaml --set init.from=${target}`,
  ].join('\n');
}

/** `fact convert SOURCE TARGET --bcosify [equal|published]`. */
export async function runBcosify(
  context: CliContext,
  source: string,
  target: string,
  flags: BcosifyFlags,
  set: BcosifyOptions['set'],
): Promise<number> {
  const form = formOf(flags.bcosify);
  if (flags.dtype !== undefined || flags.check === true)
    throw usageError(
      '--dtype and --check do not go with --bcosify',
      'Leave them out: the logits are compared in any case.',
    );
  // Both networks are run: the engine that computes, unlike in other conversions.
  await startEngine({
    engine: context.engine,
    compile: context.compile,
    ...(context.threads === undefined ? {} : { threads: context.threads }),
  });
  const { arch, ema, prefix, force } = flags;
  const report = await bcosifyFile(source, target, {
    form,
    log: context.log,
    ...(set === undefined ? {} : { set }),
    ...(arch === undefined ? {} : { arch }),
    ...(ema === undefined ? {} : { ema }),
    ...(prefix === undefined ? {} : { prefix }),
    ...(force === undefined ? {} : { force }),
  });
  context.print(reportText(report), report);
  return 0;
}
