import { type Command, Option } from 'commander';
import { showProgress } from '../../core/progress.js';
import { listSplits, openImageSource, type Split } from '../../data/imageSource.js';
import { loadModel } from '../../models/loadModel.js';
import { checkStore } from '../../train/sae/store/checkStore.js';
import type { StoreDtype } from '../../train/sae/store/shardFile.js';
import type { StoreIndex } from '../../train/sae/store/storeIndex.js';
import type { Share } from '../../train/sae/store/workFolder.js';
import { type StoreRun, writeStore } from '../../train/sae/store/writeStore.js';
import { type CliContext, collect, parseCount, runVerb, usageError, verb } from '../context.js';
import { stoppable, withSignals } from '../signals.js';
import {
  type ImageFlags,
  needDataDir,
  parseNumber,
  parsePositions,
  parseWhole,
  splitOption,
  startFor,
} from './options.js';

interface FeatureFlags extends ImageFlags {
  readonly tap?: readonly string[];
  readonly out?: string;
  readonly check?: string;
  readonly positions: 'all' | 'budget' | number;
  readonly dtype: StoreDtype;
  readonly maxGb?: number;
  readonly holdOut: number;
  readonly shard?: Share;
  readonly split?: Split;
  readonly seed: number;
  readonly imageBatch: number;
  readonly workers: number;
}

/** Parses `--shard I/N`. Throws FactError E_USAGE. */
export function parseShare(text: string): Share {
  const [, index, count] = (/^(\d+)\/(\d+)$/.exec(text) ?? []).map(Number);
  if (!(index >= 1 && index <= count))
    throw usageError(`"${text}" is not a share`, 'Give I/N with I from 1 to N, such as 1/3.');
  return { index, count };
}

/** Parses `--max-gb`. Throws FactError E_USAGE. */
function parseGigabytes(text: string): number {
  const value = parseNumber(text);
  if (value <= 0) throw usageError(`"${text}" is not a size`, 'Give gigabytes such as 20 or 0.5.');
  return value;
}

/** One line a tap. */
function storeText(index: StoreIndex): string {
  return index.taps
    .map(({ tap, rows, channels, shards }) => {
      const bytes = shards.reduce((sum, shard) => sum + shard.bytes, 0);
      const files = shards.length === 1 ? 'one shard' : `${shards.length} shards`;
      return `${tap}: ${rows} rows of ${channels} channels (${index.dtype}) in ${files}, ${(bytes / 1e9).toFixed(3)} GB`;
    })
    .join('\n');
}

function summaryOf(index: StoreIndex) {
  const { dtype, images, holdOut, broken, maxBytes, taps } = index;
  return {
    dtype,
    images,
    heldOut: holdOut.keys.length,
    broken: broken.length,
    maxBytes,
    taps: taps.map(({ tap, channels, rows, rmsNorm, shards }) => ({
      tap,
      channels,
      rows,
      rmsNorm,
      shards: shards.length,
      bytes: shards.reduce((sum, shard) => sum + shard.bytes, 0),
    })),
  };
}

/** Prints what came of a run; the exit status. */
function report(context: CliContext, out: string, run: StoreRun, stopStatus: number): number {
  const { status, imagesDone, images, index } = run;
  const value = {
    status,
    out,
    imagesDone,
    imagesWanted: images,
    ...(index === null ? {} : summaryOf(index)),
  };
  if (index !== null) {
    if (index.broken.length > 0) {
      const { key, code } = index.broken[0];
      context.log.warn(`${index.broken.length} broken images were skipped; the first: ${key} [${code}]`);
    }
    context.print(`${storeText(index)}\nthe store lies in ${out}`, value);
    return 0;
  }
  const text =
    status === 'waiting'
      ? `this share is done; ${imagesDone} of ${images} images are, the last share finishes the store`
      : `stopped: ${imagesDone} of ${images} images done so far, in ${out}; the same command goes on from there`;
  context.print(text, value);
  return status === 'waiting' ? 0 : stopStatus;
}

async function runCheck(context: CliContext, folder: string): Promise<number> {
  return stoppable(context, async (signal) => {
    const index = await checkStore(folder, {
      signal,
      progress: ({ taps }) =>
        showProgress(
          'checking',
          taps.reduce((sum, tap) => sum + tap.shards.length, 0),
          'shards',
          context.quiet,
        ),
    });
    context.print(`${storeText(index)}\nevery shard of ${folder} has its SHA-256`, {
      folder,
      ...summaryOf(index),
    });
    return 0;
  });
}

async function runFeatures(
  context: CliContext,
  folder: string | undefined,
  flags: FeatureFlags,
): Promise<number> {
  if (flags.check !== undefined) return runCheck(context, flags.check);
  const { tap: taps, out } = flags;
  if (folder === undefined)
    throw usageError('no network is given', 'Write fact sae features MODEL, or --check STORE.');
  if (taps === undefined || out === undefined)
    throw usageError(
      `no --${taps === undefined ? 'tap' : 'out'} is given`,
      'Give --tap STAGE and --out FOLDER.',
    );
  const dataDir = needDataDir(flags);
  await startFor(context);
  const model = await loadModel(folder);
  const split = listSplits(dataDir).length === 0 ? null : (flags.split ?? 'train');
  const source = await openImageSource(dataDir, split === null ? {} : { split });
  for (const warning of source.warnings) context.log.warn(warning);
  const { positions, dtype, seed, imageBatch, holdOut, maxGb, workers } = flags;
  const [height, width] = model.spec.preprocessing.crop;
  return withSignals(async (signal, exitStatus) => {
    const run = await writeStore(
      model,
      source,
      {
        taps,
        positions,
        dtype,
        seed,
        split,
        imageSize: [height, width],
        imageBatch,
        holdOut,
        maxBytes: maxGb === undefined ? null : maxGb * 1e9,
      },
      {
        out,
        workers,
        signal,
        log: context.log,
        progress: !context.quiet,
        ...(flags.shard === undefined ? {} : { share: flags.shard }),
      },
    );
    return report(context, out, run, exitStatus());
  }).finally(() => {
    source.close();
    model.dispose();
  });
}

/** `fact sae features` */
export function registerFeatures(sae: Command): void {
  verb(sae, 'features [model]', "write a network's features at one tap or several to a folder")
    .option('--tap <name>', 'stage of the network; may be given several times', collect)
    .option('--out <folder>', 'folder of the store; one that was begun is gone on with')
    .option('--data-dir <folder>', 'data set: class folders or tar shards')
    .addOption(splitOption().default('train'))
    .option(
      '--positions <choice>',
      'positions kept per image: all, budget or a number',
      parsePositions,
      'budget',
    )
    .addOption(new Option('--dtype <type>', 'storage of the features').choices(['f32', 'f16']).default('f32'))
    .option('--max-gb <size>', 'most disk space (10^9 bytes) that is taken at any time', parseGigabytes)
    .option('--hold-out <n>', 'images per class that are set apart', parseWhole, 0)
    .option('--shard <i/n>', "this process's share of the images", parseShare)
    .option('--seed <n>', 'seed of all draws', parseWhole, 0)
    .option('--image-batch <n>', 'images per batch', parseCount, 64)
    .option('--workers <n>', 'decoding threads', parseWhole, 1)
    .option('--check <store>', 'compare a finished store with its hashes')
    .action(async (model: string | undefined, _options, command: Command) => {
      await runVerb(command, (context) =>
        runFeatures(context, model, command.optsWithGlobals<FeatureFlags>()),
      );
    });
}
