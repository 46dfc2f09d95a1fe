import { existsSync } from 'node:fs';
import { extname, join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { writeFileAtomic, writePiecesAtomic } from '../core/atomicFile.js';
import { FactError, messageOf } from '../core/errors.js';
import { silentLogger } from '../core/log.js';
import type { BcosModel } from '../models/bcosModel.js';
import { loadModel } from '../models/loadModel.js';
import { MODEL_FILE } from '../models/modelFile.js';
import { castFloats, type FloatDType } from './castTensor.js';
import { byteLengthOf, countOf, lazyTensor, type NamedTensor, renamed } from './dtypes.js';
import { fillState, plannedWeights, tensorsOfModel } from './modelState.js';
import { type NetworkOptions, type PlannedNetwork, planNetwork } from './network.js';
import { compareWithOnnx } from './onnx/runOnnx.js';
import { compareNetworks, type InputParity, parityInputs } from './parity/networkParity.js';
import { compareTensors, type Parity } from './parity/parity.js';
import type { ParityReport } from './parity/parityReport.js';
import { encodePyTorch } from './pytorch/pytorchWriter.js';
import { type Checkpoint, readCheckpoint } from './readCheckpoint.js';
import { recognise } from './recognise/recognise.js';
import { encodeSafetensors } from './safetensors.js';
import { metadataOfSpec } from './specMetadata.js';
import { checkTarget, isFolder, isModelFolder, type TargetFormat, targetFormat, usage } from './targets.js';
import { modelJsonPath, readTfjs } from './tfjs/readTfjs.js';
import { compareWithTfjs } from './tfjs/runTfjs.js';

/** Makes the bytes of an ONNX file of a filled network; `taps` name hidden features that it gives too. */
export type OnnxExporter = (
  model: BcosModel,
  options: { readonly taps: readonly string[]; readonly dtype: FloatDType | undefined },
) => Uint8Array;

export interface ConvertOptions extends NetworkOptions {
  /** Storage of floating-point numbers. Default: as they are (a network's are float32). */
  readonly dtype?: FloatDType;
  /** Read the target again, compare every tensor and every stage with the source, and write the report beside it. */
  readonly check?: boolean;
  /** A photograph to compare on, beside random noise. */
  readonly photo?: string;
  /** Hidden features that an ONNX target gives as outputs. */
  readonly taps?: readonly string[];
  /** Needed for ONNX targets (`exportModel` of fact-tfjs/explain); its engine has to be current. */
  readonly exportOnnx?: OnnxExporter;
  /** Replace an existing target. */
  readonly force?: boolean;
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
  /** With `check`; for sources that can be run by themselves (ONNX, tfjs) always. */
  readonly parity: ParityReport | null;
}

/** What is converted: tensors in the order of the file or the network, and the network where one is needed. */
interface Source {
  readonly format: ConvertReport['sourceFormat'];
  /** The network without its weights filled in; null where the tensors are only copied. */
  readonly network: PlannedNetwork | null;
  /** The network with its weights: of a saved one. */
  readonly loaded: BcosModel | null;
  readonly tensors: readonly NamedTensor[];
  readonly metadata: ReadonlyMap<string, string>;
  readonly skipped: readonly string[];
}

/** Relative difference of scores that rounding explains: a network of another structure is off by much more. */
const LOGIT_TOLERANCE = 1e-3;
/** And absolute: scores near 0 beside a bias of -7 hold fewer digits. */
const LOGIT_ROUNDING = 1e-5;

/** Reads a checkpoint file, or a tfjs network that is none of this package's. */
export async function readAny(source: string): Promise<Checkpoint> {
  const path = modelJsonPath(source, isFolder(source));
  return path === null ? readCheckpoint(source) : readTfjs(path);
}

async function readSource(source: string, needsModel: boolean, options: ConvertOptions): Promise<Source> {
  if (isFolder(source) && (isModelFolder(source) || !existsSync(join(source, MODEL_FILE)))) {
    if (options.ema === true || options.prefix !== undefined || (options.arch ?? 'auto') !== 'auto')
      throw usage(`${source} is a saved network: --arch, --ema and --prefix do not apply`, 'Leave them out.');
    const loaded = await loadModel(source);
    const metadata = metadataOfSpec(loaded.spec);
    return { format: 'tfjs', network: null, loaded, tensors: tensorsOfModel(loaded), metadata, skipped: [] };
  }
  const checkpoint = await readAny(source);
  const base = {
    format: checkpoint.format,
    loaded: null,
    skipped: checkpoint.skipped.map(({ name, className }) => `${name} (${className})`),
  };
  if (!needsModel && checkpoint.uses === undefined)
    return { ...base, network: null, tensors: checkpoint.tensors, metadata: checkpoint.metadata };
  const network = planNetwork(checkpoint, source, options);
  const { model, plan } = network;
  // In the network's order and names, with the bytes of the file.
  const tensors = model.stateDict().map(({ name, shape, dtype }) => {
    const tensor = plan.taken.get(name);
    // A counter that the file lacks is 0, here as in PyTorch.
    return tensor === undefined
      ? lazyTensor(name, dtype, shape, () => new Uint8Array(byteLengthOf({ dtype, shape })))
      : renamed(tensor, name);
  });
  return { ...base, network, tensors, metadata: metadataOfSpec(model.spec) };
}

/** The network with its weights filled in, made once. */
function filled(source: Source): BcosModel {
  if (source.loaded !== null) return source.loaded;
  if (source.network === null) throw new TypeError('a network is needed');
  fillState(source.network.model, source.network.plan);
  return source.network.model;
}

async function writeTarget(
  target: string,
  format: TargetFormat,
  source: Source,
  tensors: readonly NamedTensor[],
  options: ConvertOptions,
): Promise<void> {
  const { dtype } = options;
  if (format === 'tfjs') {
    const storage = dtype === 'float16' ? 'float16' : 'float32';
    const { network, loaded } = source;
    if (loaded !== null) await loaded.save(target, { dtype: storage });
    else if (network !== null)
      await network.model.save(target, {
        dtype: storage,
        valuesOf: plannedWeights(network.model, network.plan),
      });
  } else if (format === 'pytorch') {
    const under = extname(target).toLowerCase() === '.ckpt' ? 'state_dict' : null;
    await writePiecesAtomic(target, encodePyTorch(tensors, under));
  } else if (format === 'safetensors') {
    const metadata = new Map([['format', 'pt'], ...source.metadata]);
    await writePiecesAtomic(target, encodeSafetensors(tensors, metadata));
  } else if (options.exportOnnx !== undefined) {
    writeFileAtomic(target, options.exportOnnx(filled(source), { taps: options.taps ?? [], dtype }));
  }
}

/** Refuses options that contradict the target. Throws E_USAGE. */
function checkOptions(target: string, format: TargetFormat, options: ConvertOptions): void {
  if ((format === 'tfjs' || format === 'onnx') && options.dtype === 'bfloat16')
    throw usage(
      `${target}: a saved network holds float32 or float16`,
      'Use --dtype float16, or a .pth or .safetensors target.',
    );
  if (format !== 'onnx' && (options.taps ?? []).length > 0)
    throw usage(`${target}: taps are outputs of an ONNX file`, 'Leave --taps out, or name an .onnx target.');
  if (format === 'onnx' && options.exportOnnx === undefined)
    throw usage(
      `${target}: writing ONNX needs an exporter`,
      'Give `exportOnnx`, e.g. made of `exportModel` of fact-tfjs/explain, or use `fact convert`.',
    );
}

/**
 * Converts a checkpoint file (.pth, .pt, .ckpt, .safetensors), an ONNX file, a tfjs network or a saved network (folder)
 * into another of these, by the target's name. File to file keeps all tensors and their names, unless `arch`, `ema` or
 * `prefix` asks for the weights of one network. Tensors pass through memory one at a time. The target appears complete or
 * not at all.
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
  checkOptions(target, format, options);
  const needsModel =
    format === 'tfjs' ||
    format === 'onnx' ||
    options.arch !== undefined ||
    options.ema === true ||
    options.prefix !== undefined;
  const read = await readSource(source, needsModel, options);
  try {
    for (const name of read.skipped) log.warn(`left out: ${name}`);
    if (read.tensors.length === 0)
      throw new FactError({
        code: 'E_NO_COPY',
        message: `${source}: there are no tensors in it`,
        remedy: 'Run `fact inspect` on it.',
      });
    const { dtype } = options;
    const isCast = dtype !== undefined && (format === 'pytorch' || format === 'safetensors');
    const tensors = isCast ? read.tensors.map((tensor) => castFloats(tensor, dtype)) : read.tensors;
    await writeTarget(target, format, read, tensors, options);
    return {
      source,
      target,
      sourceFormat: read.format,
      targetFormat: format,
      arch: (read.loaded ?? read.network?.model)?.spec.arch ?? null,
      prefix: read.network?.plan.prefix ?? null,
      tensors: tensors.length,
      values: tensors.reduce((sum, tensor) => sum + countOf(tensor.shape), 0),
      skipped: read.skipped,
      parity: await parityOf(source, target, format, read, options),
    };
  } finally {
    read.network?.model.dispose();
    read.loaded?.dispose();
  }
}

/** Runs what can be run and compares; null where nothing was asked for and the source is no graph. */
async function parityOf(
  source: string,
  target: string,
  format: TargetFormat,
  read: Source,
  options: ConvertOptions,
): Promise<ParityReport | null> {
  const isGraph = ['onnx', 'tfjs-layers', 'tfjs-graph'].includes(read.format);
  if (options.check !== true && !isGraph) return null;
  const notes: string[] = [];
  const photo = options.photo ?? null;
  const original = isGraph ? await originalParity(source, filled(read), read.format, photo, notes) : [];
  let tensors: Parity | null = null;
  let stages: InputParity[] = [];
  if (options.check === true) {
    if (format !== 'onnx') tensors = await tensorParity(target, format, read.tensors, options.dtype);
    stages = await stageParity(source, target, format, read, options, notes);
  }
  const arch = (read.loaded ?? read.network?.model)?.spec.arch ?? null;
  const report = { source, target, arch, tensors, stages, original, notes };
  if (options.check === true)
    writeFileAtomic(`${target}.parity.json`, `${JSON.stringify(report, null, 2)}\n`);
  checkLogits(source, original);
  if (options.dtype === undefined) checkLogits(target, stages);
  return report;
}

/** Throws E_PARITY where logits are further apart than rounding explains. */
function checkLogits(file: string, inputs: readonly InputParity[]): void {
  for (const { input, stages } of inputs) {
    const last = stages.at(-1);
    if (last === undefined || last.relative <= LOGIT_TOLERANCE || last.max <= LOGIT_ROUNDING) continue;
    throw new FactError({
      code: 'E_PARITY',
      message: `${file}: its ${last.stage} differ by ${last.relative.toExponential(1)} (norm-wise; ${input}) from those of the network`,
      remedy:
        'The weights fit, but what is computed with them differs: name the right architecture with --arch and --set.',
    });
  }
}

/** The source itself against the network made from it; where it cannot be run, a note says why. */
async function originalParity(
  source: string,
  model: BcosModel,
  format: Source['format'],
  photo: string | null,
  notes: string[],
): Promise<InputParity[]> {
  try {
    const path = modelJsonPath(source, isFolder(source)) ?? source;
    const found =
      format === 'onnx'
        ? await compareWithOnnx(path, model, photo)
        : await compareWithTfjs(path, model, photo);
    if (typeof found !== 'string') return found;
    notes.push(`${source} by itself: ${found}`);
  } catch (error) {
    notes.push(`${source} by itself: ${messageOf(error).split('\n')[0]}`);
  }
  return [];
}

/** The target's tensors, read again. Throws E_PARITY where one is further off than its element type explains. */
async function tensorParity(
  target: string,
  format: TargetFormat,
  expected: readonly NamedTensor[],
  dtype: FloatDType | undefined,
): Promise<Parity> {
  if (format !== 'tfjs') {
    const { tensors } = await readCheckpoint(target);
    const prefix = extname(target).toLowerCase() === '.ckpt' ? 'state_dict.' : '';
    const found = tensors.map((tensor) => renamed(tensor, tensor.name.slice(prefix.length)));
    return compareTensors(target, expected, found, dtype);
  }
  const model = await loadModel(target);
  try {
    return compareTensors(target, expected, tensorsOfModel(model), dtype ?? 'float32');
  } finally {
    model.dispose();
  }
}

/** Every stage of the source's network and of the target's. */
async function stageParity(
  source: string,
  target: string,
  format: TargetFormat,
  read: Source,
  options: ConvertOptions,
  notes: string[],
): Promise<InputParity[]> {
  const photo = options.photo ?? null;
  let own: PlannedNetwork | null = null;
  try {
    let expected: BcosModel;
    if (read.loaded !== null || read.network !== null) expected = filled(read);
    else {
      const checkpoint = await readCheckpoint(source);
      if (recognise(checkpoint.tensors) === null) {
        notes.push('stages: the tensors are those of no network that is known here');
        return [];
      }
      own = planNetwork(checkpoint, source, { ...options, arch: 'auto' });
      fillState(own.model, own.plan);
      expected = own.model;
    }
    if (format === 'onnx') {
      const found = await compareWithOnnx(target, expected, photo);
      if (typeof found === 'string') notes.push(`${target}: ${found}`);
      return typeof found === 'string' ? [] : found;
    }
    return await againstTarget(expected, target, format, photo);
  } finally {
    own?.model.dispose();
  }
}

async function againstTarget(
  expected: BcosModel,
  target: string,
  format: TargetFormat,
  photo: string | null,
): Promise<InputParity[]> {
  const { arch, options, inputSize, preprocessing } = expected.spec;
  let actual: BcosModel;
  if (format === 'tfjs') actual = await loadModel(target);
  else {
    const set = { ...options, inputSize, preprocessing };
    const planned = planNetwork(await readCheckpoint(target), target, { arch, set });
    fillState(planned.model, planned.plan);
    actual = planned.model;
  }
  const inputs = await parityInputs(expected, photo);
  try {
    return await compareNetworks(expected, actual, inputs);
  } finally {
    tf.dispose(inputs.map(({ image }) => image));
    actual.dispose();
  }
}
