import { Command, CommanderError } from 'commander';
import { FactError } from '../core/errors.js';
import { formatError } from './context.js';
import { packageVersion } from './version.js';

/**
 * The verbs in the order of the help text. Each is a file whose `register` adds it; only the one that is called is
 * loaded, since some bring half a second of libraries with them.
 */
const VERBS: Readonly<Record<string, () => Promise<{ register: (program: Command) => void }>>> = {
  explain: () => import('./explain.js'),
  verify: () => import('./verify.js'),
  predict: () => import('./predict.js'),
  export: () => import('./export.js'),
  train: () => import('./train.js'),
  eval: () => import('./eval.js'),
  sae: () => import('./sae.js'),
  concepts: () => import('./concepts.js'),
  convert: () => import('./convert.js'),
  inspect: () => import('./inspect.js'),
  zoo: () => import('./zoo.js'),
  engine: () => import('./engine.js'),
};

/** The `fact` command with all its verbs, or with the one that is named, where there is such a one. */
export async function createProgram(verb?: string): Promise<Command> {
  const program = new Command('fact')
    .description(
      'Image classifiers whose decisions can be read exactly: explain, verify, train and convert B-cos networks.',
    )
    .version(packageVersion())
    .showSuggestionAfterError()
    .showHelpAfterError('Run with --help to see what is possible.')
    .exitOverride();
  const isKnown = verb !== undefined && Object.hasOwn(VERBS, verb);
  for (const name of isKnown ? [verb] : Object.keys(VERBS)) (await VERBS[name]()).register(program);
  return program;
}

/** Runs the command line; sets `process.exitCode`: 0 done, 1 failed or above tolerance, 2 wrong usage. */
export async function main(argv: readonly string[]): Promise<void> {
  try {
    await (await createProgram(argv[2])).parseAsync([...argv]);
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? 0 : 2;
      return;
    }
    // What a verb throws it prints itself; this is an option's value that was refused, or a fault of this program.
    process.stderr.write(`${formatError(error, argv.includes('--debug'))}\n`);
    process.exitCode = error instanceof FactError ? error.exitCode : 1;
  }
}
