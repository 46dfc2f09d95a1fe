import { join } from 'node:path';
import type { Command } from 'commander';
import { DiskCache } from '../core/diskCache.js';
import { isCacheOff, userCacheFolder } from '../core/userCache.js';
import { DEFAULT_TOP } from '../explain/baseExplainer.js';
import { DEFAULT_TOLERANCE } from '../explain/ledger.js';
import type { SkippedImage } from '../explain/report/report.js';
import { type ExplainSession, openSession, type SessionOptions } from '../explain/session/session.js';
import { type CliContext, collect, usageError } from './context.js';

/** Options of the verbs that open a network and its autoencoders. */
export interface SessionFlags {
  readonly model?: string;
  readonly sae?: readonly string[];
  readonly top?: string;
  readonly tolerance?: string;
  /** false with --no-cache. */
  readonly cache: boolean;
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
export function toleranceOf(text: string | undefined): number {
  if (text === undefined) return DEFAULT_TOLERANCE;
  const value = Number(text);
  if (text.trim() !== '' && Number.isFinite(value) && value > 0) return value;
  throw usageError(
    `--tolerance "${text}" is not a positive number`,
    'Give a number such as --tolerance 1e-5.',
  );
}

/** Adds the network's options to a verb. */
export function withModelOptions(command: Command): Command {
  return command
    .option('--model <folder>', 'network (default: the one that comes with this program)')
    .option('--no-cache', 'compile anew, and keep nothing for the next time');
}

/** Adds the options of `SessionFlags` to a verb. */
export function withSessionOptions(command: Command, topMeaning: string): Command {
  return withModelOptions(command)
    .option(
      '--sae <folder>',
      'autoencoder; twice for traces between two taps (default: those that lie with the network)',
      collect,
    )
    .option('--top <n>', `${topMeaning} (default: ${DEFAULT_TOP})`)
    .option('--tolerance <number>', `largest relative error of a sum (default: ${DEFAULT_TOLERANCE})`);
}

/** The cache of compiled programs; null where it is switched off or cannot be used. */
function programCache(context: CliContext, isWanted: boolean): DiskCache | null {
  if (!isWanted || isCacheOff()) return null;
  return DiskCache.open(join(userCacheFolder(), 'programs'), {
    onTrouble: (what) => {
      if (context.debug) context.log.warn(what);
    },
  });
}

type SharedOptions = Pick<SessionOptions, 'engine' | 'cache' | 'model'>;

/** What all verbs of this kind ask of a session. */
export function sharedOptions(
  context: CliContext,
  flags: Pick<SessionFlags, 'model' | 'cache'>,
): SharedOptions {
  return {
    engine: {
      engine: context.engine,
      compile: context.compile,
      ...(context.threads === undefined ? {} : { threads: context.threads }),
    },
    cache: programCache(context, flags.cache),
    ...(flags.model === undefined ? {} : { model: flags.model }),
  };
}

/** Opens a network and its autoencoders for `count` pictures a call; says on standard error what is used. */
export async function openForVerb(
  context: CliContext,
  flags: SessionFlags,
  count: (height: number, width: number) => number,
): Promise<ExplainSession> {
  const session = await openSession({
    ...sharedOptions(context, flags),
    top: countOf('top', flags.top, DEFAULT_TOP),
    tolerance: toleranceOf(flags.tolerance),
    first: { program: 'explain', count },
    ...(flags.sae === undefined ? {} : { saes: flags.sae }),
  });
  const concepts = session.autoencoders.find((one) => one.role === 'concepts');
  context.log.info(
    `network ${session.spec.arch} of ${session.modelFolder}, ${concepts === undefined ? 'no autoencoder' : `${concepts.latents} concepts at ${concepts.tap}`}, engine ${session.engine}${session.isStored ? ', compiled before' : ''}`,
  );
  if (concepts === undefined) {
    context.log.warn(
      'no autoencoder lies with the network: pixels are explained, concepts are not (--sae FOLDER)',
    );
  }
  return session;
}

/** Says which pictures were skipped and why. */
export function warnSkipped(context: CliContext, skipped: readonly SkippedImage[]): void {
  for (const one of skipped) context.log.warn(`skipped: ${one.message}`);
}
