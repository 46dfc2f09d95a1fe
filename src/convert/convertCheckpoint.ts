import { existsSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { FactError, systemCodeOf } from '../core/errors.js';
import { type Logger, silentLogger } from '../core/log.js';
import type { BcosModel } from '../models/bcosModel.js';
import { type CreateOptions, createModel } from '../models/createModel.js';
import { loadModel } from '../models/loadModel.js';
import { MODEL_FILE, SPEC_FILE } from '../models/modelFile.js';
import { castFloats, type FloatDType } from './castTensor.js';
import type { NamedTensor } from './dtypes.js';
import { tensorsOfModel, writeState } from './modelState.js';
import { compareTensors, type Parity } from './parity.js';
import { writePyTorch } from './pytorchWriter.js';
import { type Checkpoint, readCheckpoint } from './readCheckpoint.js';
import { recognise } from './recognise.js';
import { writeSafetensors } from './safetensors.js';
import { metadataOfSpec, specOfMetadata } from './specMetadata.js';

export type TargetFormat = 'tfjs' | 'pytorch' | 'safetensors';

export interface ConvertOptions {
  /** Name in the registry; `auto` (default): recognised by names and shapes. Only used where a network is built. */
  readonly arch?: string;
  /** Options of the architecture that the weights do not tell, e.g. `{ stem: 'small', inputSize: 64 }`. */
  readonly set?: Omit<CreateOptions, 'weights' | 'seed'>;
  /** Take the running average of the weights. */
  readonly ema?: boolean;
  /** Take the copy of the weights whose names begin with this. */
  readonly prefix?: string;
  /** Storage of floating-point numbers. Default: as they are (a network's are float32). */
  readonly dtype?: FloatDType;
  /** Read the target again and compare every tensor with the source. */
  readonly check?: boolean;
  /** Replace an existing target. */
  readonly force?: boolean;
  readonly log?: Logger;
}

export interface ConvertReport {
  readonly source: string;
  readonly target: string;
  readonly sourceFormat: Checkpoint['format'] | 'tfjs';
  readonly targetFormat: TargetFormat;
  /** Architecture, where a network was built; null for file to file. */
  readonly arch: string | null;
  /** Prefix of the copy that was taken. */
  readonly prefix: string | null;
  readonly tensors: number;
  readonly values: number;
  /** Objects of the source that hold no tensors and were left out. */
  readonly skipped: readonly string[];
  readonly parity: Parity | null;
}

const FILE_TARGETS = new Map<string, TargetFormat>([
  ['.safetensors', 'safetensors'],
  ['.pth', 'pytorch'],
  ['.pt', 'pytorch'],
  ['.ckpt', 'pytorch'],
]);
/** Extensions of other tools' formats: a folder of such a name would be a mistake. */
const FOREIGN = [
  '.onnx',
  '.h5',
  '.hdf5',
  '.json',
  '.bin',
  '.pb',
  '.npz',
  '.npy',
  '.tflite',
  '.zip',
  '.tar',
  '.pkl',
];

function usage(message: string, remedy: string): FactError {
  return new FactError({ code: 'E_USAGE', message, remedy, exitCode: 2 });
}

/** What a target's name asks for: .pth, .pt, .ckpt, .safetensors, or a folder. Throws E_USAGE for other tools' formats. */
export function targetFormat(target: string): TargetFormat {
  const extension = extname(target).toLowerCase();
  const format = FILE_TARGETS.get(extension);
  if (format !== undefined) return format;
  if (FOREIGN.includes(extension))
    throw usage(
      `cannot write ${target}: ${extension} is no format of this command`,
      'Give a target that ends in .pth, .pt, .ckpt or .safetensors, or a folder for a network.',
    );
  return 'tfjs';
}

/** True for a folder that holds a saved network. */
export function isModelFolder(path: string): boolean {
  return existsSync(join(path, SPEC_FILE)) || existsSync(join(path, MODEL_FILE));
}

/** True for a folder; false for anything else, also for a path that cannot be looked at (reading it says why). */
export function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (error) {
    if (systemCodeOf(error) === undefined) throw error;
    return false;
  }
}

/** Refuses a target that would destroy something the user did not mean. Throws E_EXISTS. */
function checkTarget(source: string, target: string, format: TargetFormat, force: boolean): void {
  if (!existsSync(target)) return;
  const exists = (what: string, remedy: string): FactError =>
    new FactError({ code: 'E_EXISTS', message: `${target}: ${what}`, remedy });
  if (existsSync(source) && realpathSync(source) === realpathSync(target))
    throw exists('source and target are the same', 'Name another target.');
  if (isFolder(target)) {
    if (format !== 'tfjs') throw exists('this is a folder', 'Name a file as target.');
    if (readdirSync(target).length === 0) return;
    if (!isModelFolder(target))
      throw exists('this folder holds other things than a network', 'Name a new folder; it will be made.');
  } else if (format === 'tfjs') {
    throw exists(
      'this is a file, and a network is saved as a folder',
      'Name a new folder, or a .pth or .safetensors file.',
    );
  }
  if (!force) throw exists('it exists already', 'Name another target, or replace it with --force.');
}

/** The network in a checkpoint: recognised or named, built, and filled. The caller disposes it. Throws typed errors. */
export function modelOfCheckpoint(
  checkpoint: Checkpoint,
  file: string,
  options: ConvertOptions = {},
): { model: BcosModel; prefix: string; taken: ReadonlyMap<string, NamedTensor> } {
  const log = options.log ?? silentLogger;
  const wanted = options.arch ?? 'auto';
  let arch = wanted;
  let found: CreateOptions = {};
  const recognised = recognise(checkpoint.tensors);
  if (wanted === 'auto') {
    const named = specOfMetadata(checkpoint.metadata, checkpoint.tensors, file);
    if (named !== null) {
      arch = named.arch;
      found = named.options;
    } else if (recognised === null) {
      throw new FactError({
        code: 'E_ARCH_UNKNOWN',
        message: `${file}: its ${checkpoint.tensors.length} tensors are those of no B-cos network that is known here`,
        remedy: 'Run `fact inspect` on it, and name the architecture with --arch.',
      });
    } else {
      arch = recognised.arch;
      found = recognised.options;
      log.info(`architecture: ${arch}${describe(found)} (by names and shapes)`);
      if (recognised.alike.length > 0)
        log.warn(
          `the same names and shapes also fit ${recognised.alike.join(', ')}; name one with --arch if it is meant`,
        );
      if (arch === 'resnet' && found.stem === 'cifar' && options.set?.stem === undefined)
        log.warn(
          'a 3x3 stem is taken for the one with stride 1; use --set stem=small for the one with stride 2',
        );
    }
  } else if (recognised !== null && options.set?.numClasses === undefined) {
    const { numClasses } = recognised.options;
    if (numClasses !== undefined) found = { numClasses };
  }
  const model = createModel(arch, { ...found, ...options.set, weights: 'zero' });
  try {
    const state = writeState(model, checkpoint.tensors, options, file);
    if (state.isAverage && options.ema !== true && options.prefix === undefined)
      log.warn(`${file} holds only a running average of the weights ("${state.prefix}"); it was taken`);
    if (state.absentCounters.length > 0)
      log.warn(
        `${state.absentCounters.length} counters num_batches_tracked are not in the file; they are set to 0`,
      );
    if (state.rounded.length > 0) log.warn(`${state.rounded.length} tensors were rounded to float32`);
    model.describe({ source: basename(file) });
    return { model, prefix: state.prefix, taken: state.taken };
  } catch (error) {
    model.dispose();
    throw error;
  }
}

function describe(options: CreateOptions): string {
  const entries = Object.entries(options).map(([key, value]) => `${key} ${JSON.stringify(value)}`);
  return entries.length > 0 ? ` with ${entries.join(', ')}` : '';
}

/** Reads the source as tensors, and as a network where that is needed. */
async function readSource(
  source: string,
  needsModel: boolean,
  options: ConvertOptions,
): Promise<{
  format: ConvertReport['sourceFormat'];
  model: BcosModel | null;
  prefix: string | null;
  tensors: readonly NamedTensor[];
  metadata: ReadonlyMap<string, string>;
  skipped: string[];
}> {
  if (isFolder(source)) {
    if (options.ema === true || options.prefix !== undefined || (options.arch ?? 'auto') !== 'auto')
      throw usage(`${source} is a saved network: --arch, --ema and --prefix do not apply`, 'Leave them out.');
    const model = await loadModel(source);
    const metadata = metadataOfSpec(model.spec);
    return { format: 'tfjs', model, prefix: null, tensors: tensorsOfModel(model), metadata, skipped: [] };
  }
  const checkpoint = await readCheckpoint(source);
  const skipped = checkpoint.skipped.map(({ name, className }) => `${name} (${className})`);
  if (!needsModel)
    return {
      format: checkpoint.format,
      model: null,
      prefix: null,
      tensors: checkpoint.tensors,
      metadata: checkpoint.metadata,
      skipped,
    };
  const { model, prefix, taken } = modelOfCheckpoint(checkpoint, source, options);
  // In the network's order and names, with the bytes of the file.
  const tensors = model.stateDict().flatMap(({ name }) => {
    const tensor = taken.get(name);
    return tensor === undefined ? [] : [{ ...tensor, name }];
  });
  return { format: checkpoint.format, model, prefix, tensors, metadata: metadataOfSpec(model.spec), skipped };
}

/**
 * Converts a checkpoint file (.pth, .pt, .ckpt, .safetensors) or a saved network (folder) into another of these, by the
 * target's name. File to file keeps all tensors and their names, unless `arch`, `ema` or `prefix` asks for the weights
 * of one network. The target appears complete or not at all.
 * Throws the typed errors of the readers, E_SHAPE_MISMATCH, E_NO_COPY, E_AMBIGUOUS_COPY, E_ARCH_UNKNOWN, E_EXISTS,
 * E_WRITE, E_USAGE, E_NUMBER_RANGE, E_PARITY.
 */
export async function convertCheckpoint(
  source: string,
  target: string,
  options: ConvertOptions = {},
): Promise<ConvertReport> {
  const log = options.log ?? silentLogger;
  const format = targetFormat(target);
  checkTarget(source, target, format, options.force === true);
  const needsModel =
    format === 'tfjs' || options.arch !== undefined || options.ema === true || options.prefix !== undefined;
  if (format === 'tfjs' && options.dtype === 'bfloat16')
    throw usage(
      'a saved network holds float32 or float16',
      'Use --dtype float16, or a .pth or .safetensors target.',
    );
  const { model, ...read } = await readSource(source, needsModel, options);
  try {
    for (const name of read.skipped) log.warn(`left out: ${name}`);
    if (format !== 'tfjs' && read.tensors.length === 0)
      throw new FactError({
        code: 'E_NO_COPY',
        message: `${source}: there are no tensors in it`,
        remedy: 'Run `fact inspect` on it.',
      });
    const { dtype } = options;
    const tensors =
      dtype === undefined || format === 'tfjs'
        ? read.tensors
        : read.tensors.map((tensor) => castFloats(tensor, dtype));
    if (format === 'tfjs') {
      if (model === null) throw new TypeError('a network is needed');
      await model.save(target, { dtype: dtype === 'float16' ? 'float16' : 'float32' });
    } else if (format === 'pytorch') {
      writePyTorch(target, tensors, extname(target).toLowerCase() === '.ckpt' ? 'state_dict' : null);
    } else {
      writeSafetensors(target, tensors, new Map([['format', 'pt'], ...read.metadata]));
    }
    const parity = options.check === true ? await checkParity(target, format, read.tensors, dtype) : null;
    return {
      source,
      target,
      sourceFormat: read.format,
      targetFormat: format,
      arch: model?.spec.arch ?? null,
      prefix: read.prefix,
      tensors: tensors.length,
      values: tensors.reduce((sum, tensor) => sum + tensor.shape.reduce((p, d) => p * d, 1), 0),
      skipped: read.skipped,
      parity,
    };
  } finally {
    model?.dispose();
  }
}

/** Reads the target again and compares. Throws E_PARITY where a tensor is further off than its element type explains. */
async function checkParity(
  target: string,
  format: TargetFormat,
  expected: readonly NamedTensor[],
  dtype: FloatDType | undefined,
): Promise<Parity> {
  if (format !== 'tfjs') {
    const { tensors } = await readCheckpoint(target);
    const prefix = extname(target).toLowerCase() === '.ckpt' ? 'state_dict.' : '';
    const found = tensors.map((tensor) => ({ ...tensor, name: tensor.name.slice(prefix.length) }));
    return compareTensors(target, expected, found, dtype);
  }
  const model = await loadModel(target);
  try {
    return compareTensors(target, expected, tensorsOfModel(model), dtype ?? 'float32');
  } finally {
    model.dispose();
  }
}
