import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { FactError, messageOf, nearestName, showProgress } from '../core/index.js';
import { describeEngines, type EngineDescription, ONNX_INSTALL_ARGUMENTS } from '../engine/describe.js';
import { installTensorflow, removeTensorflow } from '../engine/tensorflow/install/install.js';
import { type CliContext, runVerb, usageError, verb } from './context.js';
import { stoppable } from './signals.js';

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
      : [
          row.command.startsWith('fact ')
            ? `To bring ${row.name}: ${row.command}`
            : `To bring ${row.name}: ${row.command}   (or: fact engine install ${row.name})`,
        ],
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

interface InstallFlags {
  readonly gpu?: boolean;
  readonly force?: boolean;
}

async function installLibrary(flags: InstallFlags, context: CliContext): Promise<number> {
  return stoppable(context, async (signal) => {
    const { folder, installed } = await installTensorflow({
      variant: flags.gpu === true ? 'gpu' : 'cpu',
      force: flags.force === true,
      signal,
      log: context.log,
      progress: (title, total, unit) => showProgress(title, total, unit, context.quiet),
    });
    const what = installed ? 'is installed in' : 'is there already, in';
    context.print(`tensorflow ${what} ${folder}. \`fact engine list\` tests it.`, {
      name: 'tensorflow',
      installed,
      folder,
    });
    return 0;
  });
}

async function remove(name: string, context: CliContext): Promise<undefined> {
  if (name !== 'tensorflow')
    throw usageError(
      `engine remove: ${name} is not of what \`fact engine install\` keeps outside npm`,
      'Only tensorflow can be removed; packages go with npm uninstall.',
    );
  const folders = removeTensorflow();
  const text = folders.length === 0 ? 'nothing was there' : `removed ${folders.join(', ')}`;
  context.print(text, { name, removed: folders });
}

async function install(name: string, flags: InstallFlags, context: CliContext): Promise<number | undefined> {
  const known = ['onnx', 'wasm', 'cpu', 'tensorflow'];
  if (!known.includes(name)) {
    const nearest = nearestName(name, known);
    throw usageError(
      `engine install: no engine is called "${name}"`,
      nearest === undefined ? `Known engines: ${known.join(', ')}.` : `Did you mean ${nearest}?`,
    );
  }
  if (name === 'tensorflow') return installLibrary(flags, context);
  if (flags.gpu === true)
    throw usageError(
      'engine install: --gpu is for tensorflow',
      'Run `fact engine install tensorflow --gpu`.',
    );
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

/** `fact engine list`, `fact engine install NAME` and `fact engine remove NAME`. */
export function register(program: Command): void {
  const engine = program.command('engine').description('what computes here: list the engines, install one');
  verb(engine, 'list', 'which engines work here, which one is used and why').action(
    (_options: unknown, command: Command) => runVerb(command, list),
  );
  verb(engine, 'install', 'bring a missing engine')
    .argument('<name>', 'onnx or tensorflow')
    .option('--gpu', 'tensorflow with the libraries of CUDA: 2.4 GB to fetch, 4.1 GB on disk')
    .option('--force', 'tensorflow: fetch it again')
    .action((name: string, options: InstallFlags, command: Command) =>
      runVerb(command, (context) => install(name, options, context)),
    );
  verb(engine, 'remove', 'remove an engine that install put outside npm')
    .argument('<name>', 'tensorflow')
    .action((name: string, _options: unknown, command: Command) =>
      runVerb(command, (context) => remove(name, context)),
    );
}
