import { readFileSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';
import { formatError } from '../../src/cli/context.js';
import { createProgram, main } from '../../src/cli/main.js';

const VERBS = [
  'explain',
  'verify',
  'predict',
  'export',
  'train',
  'eval',
  'sae',
  'concepts',
  'convert',
  'inspect',
  'zoo',
  'engine',
];

/** Runs the command line in this process and gives what it wrote. */
async function fact(...words: string[]): Promise<{ status: unknown; out: string; err: string }> {
  const text = (spy: { mock: { calls: readonly unknown[][] } }) =>
    spy.mock.calls.map(([first]) => String(first)).join('');
  const out = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  const err = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  try {
    await main(['node', 'fact', ...words]);
    return { status: process.exitCode, out: text(out), err: text(err) };
  } finally {
    out.mockRestore();
    err.mockRestore();
  }
}

describe('fact', () => {
  it('lists every verb with --help, on standard output', async () => {
    const { status, out, err } = await fact('--help');
    expect(status).toBe(0);
    expect(err).toBe('');
    for (const verb of VERBS) expect(out).toMatch(new RegExp(`^ {2}${verb}\\b`, 'm'));
    expect((await createProgram()).commands.map((command) => command.name())).toEqual(VERBS);
  });

  it('loads only the verb that is called', async () => {
    const { commands } = await createProgram('inspect');
    expect(commands.map((command) => command.name())).toEqual(['inspect']);
  });

  it('prints the version of package.json', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
    const { status, out } = await fact('--version');
    expect([status, out]).toEqual([0, `${version}\n`]);
  });

  it('suggests the nearest verb for an unknown one and exits with 2', async () => {
    const { status, out, err } = await fact('trian');
    expect([status, out]).toEqual([2, '']);
    expect(err).toContain("unknown command 'trian'");
    expect(err).toContain('Did you mean train?');
  });

  it('suggests the nearest option for an unknown one and exits with 2', async () => {
    const { status, err } = await fact('inspect', 'x.pth', '--jsno');
    expect(status).toBe(2);
    expect(err).toContain("unknown option '--jsno'");
    expect(err).toContain('Did you mean --json?');
  });

  it('exits with 2 where an argument is missing', async () => {
    const { status, err } = await fact('inspect');
    expect(status).toBe(2);
    expect(err).toContain("missing required argument 'file'");
  });

  it('exits with 2 for an engine that is not known, and names those that are', async () => {
    const { status, err } = await fact('engine', 'list', '--engine', 'gpu');
    expect(status).toBe(2);
    expect(err).toContain('Allowed choices are auto, onnx, wasm, cpu, tensorflow');
  });

  it('refuses an option value in two lines, exit status 2', async () => {
    const { status, out, err } = await fact('engine', 'list', '--threads', 'many');
    expect([status, out]).toEqual([2, '']);
    expect(err).toBe('error: "many" is not a positive whole number\nGive a number such as 8.   [E_USAGE]\n');
  });

  it('says in two lines what failed and what to do', async () => {
    const { status, out, err } = await fact('inspect', 'no-such-file.pth');
    expect([status, out]).toEqual([1, '']);
    expect(err).toBe('error: there is no file no-such-file.pth\nCheck the path.   [E_NOT_FOUND]\n');
  });

  it('adds the stack with --debug only', async () => {
    const { err } = await fact('inspect', 'no-such-file.pth', '--debug');
    expect(err.split('\n').slice(0, 2)).toEqual([
      'error: there is no file no-such-file.pth',
      'Check the path.   [E_NOT_FOUND]',
    ]);
    expect(err).toMatch(/\n {4}at /);
  });

  it('asks for a report of a failure that it did not foresee', () => {
    const text = formatError(new TypeError('x is not a function'), false);
    expect(text.split('\n')).toEqual([
      'error: unexpected failure: x is not a function',
      'Run again with --debug and report the stack trace.   [E_INTERNAL]',
    ]);
  });

  it('prints nothing but JSON on standard output with --json', async () => {
    const { status, out } = await fact('engine', 'list', '--engine', 'cpu', '--json');
    expect(status).toBe(0);
    const rows: { name: string }[] = JSON.parse(out);
    expect(rows.map((row) => row.name)).toEqual(['onnx', 'wasm', 'cpu', 'tensorflow']);
  });
});
