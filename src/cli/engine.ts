import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { FactError, messageOf, nearestName } from '../core/index.js';
import { describeEngines, type EngineDescription, ONNX_INSTALL_ARGUMENTS } from '../engine/describe.js';
import { type CliContext, runVerb, usageError, verb } from './context.js';

/** Where to run npm, and with which arguments, so that this package finds what it installs. */
export interface NpmCall {
  readonly folder: string;
  readonly arguments: readonly string[];
}

/**
 * The npm call that installs onnxruntime-node next to this package: in the project that it is a dependency of, with
 * `-g` where it is installed globally, else (a clone) in its own folder without changing its package.json.
 */
export function onnxInstallCall(packageFolder: string): NpmCall {
  const marker = `${sep}node_modules${sep}`;
  const at = packageFolder.indexOf(marker);
  if (at < 0) return { folder: packageFolder, arguments: [...ONNX_INSTALL_ARGUMENTS, '--no-save'] };
  const project = packageFolder.slice(0, at);
  if (existsSync(join(project, 'package.json')))
    return { folder: project, arguments: ONNX_INSTALL_ARGUMENTS };
  return { folder: project, arguments: [...ONNX_INSTALL_ARGUMENTS, '-g'] };
}

function table(rows: readonly EngineDescription[]): string {
  const lines = rows.map((row) => [row.name, row.state, row.version ?? '-', row.reason]);
  const widths = [0, 1, 2].map((i) => Math.max(...lines.map((line) => line[i].length)));
  const text = lines.map((line) =>
    line
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  const commands = rows.flatMap((row) =>
    row.command === null
      ? []
      : [`To bring ${row.name}: ${row.command}   (or: fact engine install ${row.name})`],
  );
  return [...text, ...commands].join('\n');
}

async function list(context: CliContext): Promise<undefined> {
  const rows = await describeEngines({
    engine: context.engine,
    compile: context.compile,
    ...(context.threads === undefined ? {} : { threads: context.threads }),
  });
  context.print(table(rows), rows);
}

function runNpm(call: NpmCall): Promise<void> {
  const command = `npm ${call.arguments.join(' ')}`;
  const failure = (what: string): FactError =>
    new FactError({
      code: 'E_ENGINE_INSTALL',
      message: `engine install: "${command}" in ${call.folder}: ${what}`,
      remedy: 'Check that npm and the network work, or run that command yourself.',
    });
  return new Promise((resolve, reject) => {
    const isWindows = process.platform === 'win32';
    const child = spawn(isWindows ? 'npm.cmd' : 'npm', [...call.arguments], {
      cwd: call.folder,
      shell: isWindows,
      stdio: ['ignore', process.stderr, process.stderr],
    });
    child.on('error', (error) => reject(failure(messageOf(error))));
    child.on('exit', (status, signal) =>
      status === 0
        ? resolve()
        : reject(failure(signal === null ? `exit status ${status}` : `killed by ${signal}`)),
    );
  });
}

async function install(name: string, context: CliContext): Promise<undefined> {
  if (name === 'tensorflow') {
    throw new FactError({
      code: 'E_ENGINE_UNSUPPORTED',
      message: 'engine install: tensorflow is not supported yet, there is nothing to install',
      remedy: 'Use the onnx engine for native speed: fact engine install onnx',
    });
  }
  const known = ['onnx', 'wasm', 'cpu'];
  if (!known.includes(name)) {
    const nearest = nearestName(name, known);
    throw usageError(
      `engine install: no engine is called "${name}"`,
      nearest === undefined ? `Known engines: ${known.join(', ')}.` : `Did you mean ${nearest}?`,
    );
  }
  const row = (await describeEngines({ engine: 'cpu' })).find((engine) => engine.name === name);
  if (row !== undefined && row.state !== 'missing') {
    context.print(`${name} ${row.version ?? ''} works here already.`, { name, installed: false, row });
    return;
  }
  if (name !== 'onnx') {
    throw new FactError({
      code: 'E_ENGINE_BROKEN',
      message: `engine install: ${name} is a part of TensorFlow.js and does not work here: ${row?.reason ?? 'unknown'}`,
      remedy: 'Install this package again, with its peer dependencies.',
    });
  }
  const call = onnxInstallCall(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));
  context.log.info(`in ${call.folder}: npm ${call.arguments.join(' ')}`);
  await runNpm(call);
  context.print('onnx is installed. `fact engine list` tests it.', { name, installed: true });
}

/** `fact engine list` and `fact engine install NAME`. */
export function register(program: Command): void {
  const engine = program.command('engine').description('what computes here: list the engines, install one');
  verb(engine, 'list', 'which engines work here, which one is used and why').action(
    (_options: unknown, command: Command) => runVerb(command, list),
  );
  verb(engine, 'install', 'bring a missing engine')
    .argument('<name>', 'onnx')
    .action((name: string, _options: unknown, command: Command) =>
      runVerb(command, (context) => install(name, context)),
    );
}
