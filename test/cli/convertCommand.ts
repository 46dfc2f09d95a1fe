import { Command, CommanderError } from 'commander';
import { register as registerConvert } from '../../src/cli/convert.js';
import { register as registerInspect } from '../../src/cli/inspect.js';

/** What a command printed, and its exit status. */
export interface CommandResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `fact convert` or `fact inspect` in this process. */
export async function runFact(...args: string[]): Promise<CommandResult> {
  const program = new Command('fact').exitOverride();
  for (const register of [registerConvert, registerInspect]) register(program);
  for (const command of program.commands) command.exitOverride();
  const out: string[] = [];
  const err: string[] = [];
  const { write: writeOut } = process.stdout;
  const { write: writeErr } = process.stderr;
  process.stdout.write = ((text: string) => out.push(text) > 0) as typeof process.stdout.write;
  process.stderr.write = ((text: string) => err.push(text) > 0) as typeof process.stderr.write;
  let status = 0;
  try {
    process.exitCode = undefined;
    await program.parseAsync(['node', 'fact', ...args]);
    status = Number(process.exitCode ?? 0);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    status = error.exitCode === 0 ? 0 : 2;
  } finally {
    process.stdout.write = writeOut;
    process.stderr.write = writeErr;
    process.exitCode = undefined;
  }
  return { status, stdout: out.join(''), stderr: err.join('') };
}
