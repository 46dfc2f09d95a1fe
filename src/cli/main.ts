import { Command, CommanderError } from 'commander';
import { FactError } from '../core/errors.js';
import { formatError } from './context.js';
import { register as registerConvert } from './convert.js';
import { register as registerEngine } from './engine.js';
import { register as registerEval } from './eval.js';
import { register as registerExplain } from './explain.js';
import { register as registerExport } from './export.js';
import { register as registerInspect } from './inspect.js';
import { register as registerPredict } from './predict.js';
import { register as registerSae } from './sae.js';
import { register as registerTrain } from './train.js';
import { register as registerVerify } from './verify.js';
import { packageVersion } from './version.js';
import { register as registerZoo } from './zoo.js';

/** The `fact` command with all its verbs. */
export function createProgram(): Command {
  const program = new Command('fact')
    .description(
      'Image classifiers whose decisions can be read exactly: explain, verify, train and convert B-cos networks.',
    )
    .version(packageVersion())
    .showSuggestionAfterError()
    .showHelpAfterError('Run with --help to see what is possible.')
    .exitOverride();
  for (const register of [
    registerExplain,
    registerVerify,
    registerPredict,
    registerExport,
    registerTrain,
    registerEval,
    registerSae,
    registerConvert,
    registerInspect,
    registerZoo,
    registerEngine,
  ]) {
    register(program);
  }
  return program;
}

/** Runs the command line; sets `process.exitCode`: 0 done, 1 failed or above tolerance, 2 wrong usage. */
export async function main(argv: readonly string[]): Promise<void> {
  try {
    await createProgram().parseAsync([...argv]);
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
