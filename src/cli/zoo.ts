import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import {
  convertZooNetwork,
  isModelFolder,
  type ObtainOptions,
  obtainNetwork,
  obtainSae,
  type ZooEntry,
  type ZooSae,
  zooEntries,
  zooEntry,
  zooSaes,
} from '../convert/index.js';
import { FactError, type Progress, showProgress } from '../core/index.js';
import { startEngine } from '../engine/start.js';
import { saeFromFactCheckpoint } from '../explain/factSae.js';
import { matchSae, saveSae } from '../explain/sae.js';
import type { BcosModel } from '../models/bcosModel.js';
import { loadModel } from '../models/loadModel.js';
import { type CliContext, collect, runVerb, usageError, verb } from './context.js';
import { dtypeOption } from './sae/options.js';
import { withSignals } from './signals.js';

interface DownloadFlags {
  readonly out?: string;
  readonly sae: readonly string[];
  readonly mirror?: string;
  readonly offline?: boolean;
  readonly dtype: 'float32' | 'float16';
  readonly check?: boolean;
  readonly force?: boolean;
}

const number = new Intl.NumberFormat('en-US');
const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;

/** Names that differ by a number at their end, put together: encoder_0, encoder_1, encoder_2 -> encoder_0-2. */
function shortened(names: readonly string[]): string[] {
  const runs: { stem: string; from: number | null; to: number }[] = [];
  for (const name of names) {
    const match = /^(.*?)(\d+)$/.exec(name);
    const last = runs.at(-1);
    const at = Number(match?.[2] ?? 0);
    if (match !== null && last?.stem === match[1] && last.to + 1 === at) last.to = at;
    else runs.push({ stem: match?.[1] ?? name, from: match === null ? null : at, to: at });
  }
  return runs.map(({ stem, from, to }) =>
    from === null ? stem : from === to ? `${stem}${from}` : `${stem}${from}-${to}`,
  );
}

/** What `fact zoo list --json` prints of a network. */
function rowOf({ name, entry, published, url, parameterBytes, licence, saes }: ZooEntry) {
  const { top1, top5, parameters, file } = published;
  return {
    name,
    family: entry.family,
    isBcos: entry.bcos,
    top1,
    top5,
    parameters,
    /** Of the trained values alone. */
    parameterBytes,
    licence,
    taps: entry.build(entry.defaults, 0, false).taps,
    file,
    url,
    saes: saes.map(({ tap, channels, latents, k, file: saeFile, url: saeUrl, tensorBytes }) => {
      return { tap, channels, latents, k, file: saeFile, url: saeUrl, tensorBytes };
    }),
  };
}

type Row = ReturnType<typeof rowOf>;

function table(rows: readonly Row[]): string {
  const cells = rows.map((row) => [
    row.name,
    `${row.top1.toFixed(1)} %`,
    number.format(row.parameters),
    megabytes(row.parameterBytes),
    row.licence,
    shortened(row.taps).join(' '),
    row.saes.length === 0 ? '' : row.saes.map(({ tap, latents }) => `${tap} (${latents})`).join(', '),
  ]);
  const lines = [['name', 'top-1', 'parameters', 'size', 'licence', 'taps', 'autoencoders'], ...cells];
  const widths = [0, 1, 2, 3, 4, 5].map((i) => Math.max(...lines.map((line) => line[i].length)));
  const text = lines.map((line) =>
    line
      .map((cell, i) => (i >= 1 && i <= 3 ? cell.padStart(widths[i]) : cell.padEnd(widths[i] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
  return [
    ...text,
    '',
    'top-1: as its authors state it, on the ImageNet validation set. size: of the trained values in float32.',
    'fact zoo download NAME [--sae TAP]',
  ].join('\n');
}

/** Names of an autoencoder's folder below the network's. */
function saeFolder(out: string, sae: ZooSae): string {
  return join(out, 'saes', sae.tap);
}

/** Runs one download with its bar. */
async function withBar<T>(
  context: CliContext,
  title: string,
  work: (progress: NonNullable<ObtainOptions['progress']>) => Promise<T>,
): Promise<T> {
  let bar: Progress | null = null;
  try {
    return await work((done, total) => {
      if (total === null) return;
      bar ??= showProgress(title, Math.ceil(total / 1e6), 'MB', context.quiet);
      bar.update(Math.floor(done / 1e6));
    });
  } finally {
    (bar as Progress | null)?.stop();
  }
}

/** True where the folder holds this published network already. Throws E_EXISTS where it holds something else. */
async function isThere(entry: ZooEntry, out: string, force: boolean): Promise<boolean> {
  if (force || !existsSync(out) || !isModelFolder(out)) return false; // the converter looks at the rest
  const model = await loadModel(out);
  const { arch, source } = model.spec;
  model.dispose();
  if (arch === entry.name && source === entry.published.file) return true;
  throw new FactError({
    code: 'E_EXISTS',
    message: `${out} holds another network (${arch}${source === null ? '' : `, from ${source}`})`,
    remedy: 'Name another folder with --out, or replace it with --force.',
  });
}

/** Converts an autoencoder into its folder beside the network. Throws E_SAE_MISMATCH where it is not the published one. */
async function importSae(model: BcosModel, sae: ZooSae, path: string, out: string, flags: DownloadFlags) {
  const converted = await saeFromFactCheckpoint(path, {
    tap: sae.tap,
    arch: model.spec.arch,
    modelHash: model.spec.weightsHash,
  });
  try {
    if (converted.latents !== sae.latents || converted.k !== sae.k || converted.channels !== sae.channels)
      throw new FactError({
        code: 'E_SAE_MISMATCH',
        message: `${path} is not the published autoencoder: ${converted.latents} concepts of ${converted.channels} channels, k = ${converted.k}; expected ${sae.latents} of ${sae.channels}, k = ${sae.k}`,
        remedy: 'Delete that file and download it again.',
      });
    matchSae(model, converted);
    await saveSae(saeFolder(out, sae), converted, { dtype: flags.dtype });
  } finally {
    converted.dispose();
  }
  return { tap: sae.tap, folder: saeFolder(out, sae), latents: sae.latents, k: sae.k };
}

async function runDownload(
  context: CliContext,
  name: string,
  flags: DownloadFlags,
  signal: AbortSignal,
): Promise<number> {
  const entry = zooEntry(name);
  const saes = zooSaes(entry, flags.sae);
  const out = flags.out ?? entry.name;
  if (existsSync(out) && !isModelFolder(out) && flags.out === undefined)
    throw usageError(`${out} exists here and is not a network`, 'Name the folder to make with --out.');
  // Nothing is computed: the plain engine holds the weights, unless another is asked for.
  await startEngine({ engine: context.engine === 'auto' ? 'cpu' : context.engine });
  const { log } = context;
  const hasNetwork = await isThere(entry, out, flags.force === true);
  const common = {
    signal,
    log,
    ...(flags.mirror === undefined ? {} : { mirror: flags.mirror }),
    ...(flags.offline === true ? { offline: true } : {}),
  };
  // Everything is fetched before anything is written.
  const file = hasNetwork
    ? null
    : await withBar(context, entry.name, (progress) => obtainNetwork(entry, { ...common, progress }));
  const saeFiles: [ZooSae, string][] = [];
  for (const sae of saes) {
    const got = await withBar(context, sae.tap, (progress) => obtainSae(sae, { ...common, progress }));
    saeFiles.push([sae, got.path]);
  }
  const { dtype, check, force } = flags;
  const report =
    file === null
      ? null
      : await convertZooNetwork(entry, file.path, out, {
          log,
          ...(dtype === 'float16' ? { dtype } : {}),
          ...(check === undefined ? {} : { check }),
          ...(force === undefined ? {} : { force }),
        });
  if (report === null) log.info(`${out} holds ${entry.name} already`);
  const written = [];
  if (saeFiles.length > 0) {
    const model = await loadModel(out);
    try {
      for (const [sae, path] of saeFiles) {
        signal.throwIfAborted();
        written.push(await importSae(model, sae, path, out, flags));
      }
    } finally {
      model.dispose();
    }
  }
  const lines = [`${entry.name} lies in ${out}`];
  for (const { tap, latents, k, folder } of written)
    lines.push(`${latents} concepts at ${tap} (k = ${k}) lie in ${folder}`);
  if (written.length === 0 && entry.saes.length > 0)
    lines.push(`autoencoders are published at ${entry.saes.map(({ tap }) => tap).join(', ')}: add --sae TAP`);
  if (entry.entry.bcos) lines.push(`fact explain IMAGE --model ${out}`);
  context.print(lines.join('\n'), {
    name: entry.name,
    folder: out,
    source: file?.path ?? null,
    fetched: file?.fetched ?? false,
    conversion: report,
    saes: written,
  });
  return 0;
}

/** `fact zoo list` and `fact zoo download NAME`. */
export function register(program: Command): void {
  const zoo = program
    .command('zoo')
    .description('published networks and autoencoders: list them, download them');
  verb(
    zoo,
    'list',
    'every published network: accuracy as published, size, licence, taps, autoencoders',
  ).action((_options: unknown, command: Command) =>
    runVerb(command, async (context) => {
      const rows = zooEntries().map(rowOf);
      context.print(table(rows), rows);
      return 0;
    }),
  );
  verb(zoo, 'download <name>', 'fetch a published network and convert it into a folder')
    .option('--out <folder>', 'folder to make (default: the name)')
    .option('--sae <tap>', 'also its autoencoder at this tap, or all; may be given again', collect, [])
    .option(
      '--mirror <place>',
      'address or folder that holds the files (default: FACT_ZOO_MIRROR, else the release)',
    )
    .option('--offline', 'only look where files may lie already')
    .addOption(dtypeOption().default('float32'))
    .option('--check', 'read the network again and compare every tensor')
    .option('--force', 'replace an existing network')
    .action(async (name: string, _options: unknown, command: Command) => {
      await runVerb(command, (context) =>
        withSignals(async (signal, exitStatus) => {
          try {
            return await runDownload(context, name, command.optsWithGlobals<DownloadFlags>(), signal);
          } catch (error) {
            if (!signal.aborted || error !== signal.reason) throw error;
            context.log.warn('stopped; what was fetched is kept, and the same command goes on from there');
            return exitStatus();
          }
        }),
      );
    });
}
