import { type Command, Option } from 'commander';
import { FactError, messageOf } from '../core/errors.js';
import { consoleLogger, type Logger } from '../core/log.js';

/** Options that every verb shares, after parsing. */
export interface CliContext {
  readonly engine: 'auto' | 'onnx' | 'wasm' | 'cpu' | 'tensorflow';
  readonly threads: number | undefined;
  readonly compile: boolean;
  readonly json: boolean;
  readonly quiet: boolean;
  readonly debug: boolean;
  readonly log: Logger;
  /** Prints the result: text on a terminal, the JSON value with `--json`. Standard output holds nothing else. */
  readonly print: (text: string, value: unknown) => void;
}

/** A command with the shared options added; verbs build on it. */
export function verb(program: Command, name: string, description: string): Command {
  return program
    .command(name)
    .description(description)
    .addOption(
      new Option('--engine <name>', 'engine to compute with')
        .choices(['auto', 'onnx', 'wasm', 'cpu', 'tensorflow'])
        .default('auto'),
    )
    .option('--threads <n>', 'threads of the engine', parseCount)
    .option('--no-compile', 'run the same code uncompiled, operation by operation')
    .option('--json', 'print the result as JSON on standard output')
    .option('--quiet', 'no talk on standard error, only warnings and errors')
    .option('--debug', 'stack traces with errors');
}

/** Collects an option that may be given several times. */
export function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

/** Parses a positive integer option. Throws FactError E_USAGE. */
export function parseCount(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw usageError(`"${text}" is not a positive whole number`, 'Give a number such as 8.');
  return value;
}

/** Wrong usage: exit status 2. */
export function usageError(message: string, remedy: string): FactError {
  return new FactError({ code: 'E_USAGE', message, remedy, exitCode: 2 });
}

/** The two lines that a person sees of an error, and the stack with `debug`. */
export function formatError(error: unknown, debug: boolean): string {
  const stack = debug && error instanceof Error ? `\n${error.stack}` : '';
  if (error instanceof FactError) return `error: ${error.message}\n${error.remedy}   [${error.code}]${stack}`;
  return `error: unexpected failure: ${messageOf(error)}\nRun again with --debug and report the stack trace.   [E_INTERNAL]${stack}`;
}

/**
 * Runs a verb's body with the shared options; its return value is the exit status (undefined = 0). Errors become the
 * two lines of `formatError` and the error's exit status.
 */
export async function runVerb(
  command: Command,
  body: (context: CliContext) => Promise<number | undefined>,
): Promise<void> {
  const o = command.optsWithGlobals();
  const context: CliContext = {
    engine: o.engine,
    threads: o.threads,
    compile: o.compile,
    json: o.json === true,
    quiet: o.quiet === true,
    debug: o.debug === true,
    log: consoleLogger(o.quiet === true),
    print: (text, value) => {
      process.stdout.write(
        o.json === true ? `${JSON.stringify(value, null, 2)}\n` : text.length > 0 ? `${text}\n` : '',
      );
    },
  };
  try {
    process.exitCode = (await body(context)) ?? 0;
  } catch (error) {
    process.stderr.write(`${formatError(error, context.debug)}\n`);
    process.exitCode = error instanceof FactError ? error.exitCode : 1;
  }
}
