import { Option } from 'commander';
import type { Split } from '../../data/imageSource.js';
import { startEngine } from '../../engine/start.js';
import type { PositionChoice } from '../../train/sae/features/collect.js';
import { type CliContext, parseCount, usageError } from '../context.js';

/** Parses any finite number. Throws FactError E_USAGE. */
export function parseNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value))
    throw usageError(`"${text}" is not a number`, 'Give a number such as 0.001.');
  return value;
}

/** Parses a whole number from 0. Throws FactError E_USAGE. */
export function parseWhole(text: string): number {
  const value = parseNumber(text);
  if (!Number.isInteger(value) || value < 0)
    throw usageError(`"${text}" is not a whole number from 0`, 'Give a number such as 0 or 7.');
  return value;
}

/** Parses the choice of positions per image. Throws FactError E_USAGE. */
export function parsePositions(text: string): PositionChoice {
  if (text === 'all' || text === 'budget') return text;
  if (!/^[1-9]\d*$/.test(text))
    throw usageError(`"${text}" is no choice of positions`, 'Give all, budget, or a number such as 8.');
  return parseCount(text);
}

/** Options of the verbs that read images. */
export interface ImageFlags {
  readonly dataDir?: string;
  readonly split?: Split;
  readonly imageBatch?: number;
  readonly workers?: number;
}

/** Which part of the data set. */
export const splitOption = (): Option =>
  new Option('--split <name>', 'split of the data set').choices(['train', 'val', 'test']);

/** Storage of an autoencoder's weights. */
export const dtypeOption = (): Option =>
  new Option('--dtype <type>', 'storage of the weights').choices(['float32', 'float16']);

/** The data set of the command line. Throws FactError E_USAGE where none is given. */
export function needDataDir(flags: ImageFlags): string {
  if (flags.dataDir === undefined)
    throw usageError('no data set is given', 'Add --data-dir FOLDER: class folders or tar shards.');
  return flags.dataDir;
}

/** Starts the engine of the command line and says which. */
export async function startFor(context: CliContext): Promise<void> {
  const engine = await startEngine({
    engine: context.engine,
    compile: context.compile,
    ...(context.threads === undefined ? {} : { threads: context.threads }),
  });
  context.log.info(`engine ${engine.name}: ${engine.reason}`);
}
