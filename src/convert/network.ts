import { basename } from 'node:path';
import { FactError } from '../core/errors.js';
import { type Logger, silentLogger } from '../core/log.js';
import type { BcosModel } from '../models/bcosModel.js';
import { type CreateOptions, createModel } from '../models/createModel.js';
import { CheckpointErrors } from './checkpointError.js';
import { type NamedTensor, renamed } from './dtypes.js';
import { fillState, planState, type StatePlan } from './modelState.js';
import type { Checkpoint } from './readCheckpoint.js';
import { type Recognised, recognise, recogniseUses } from './recognise/recognise.js';
import { matchStructure } from './recognise/structure.js';
import { specOfMetadata } from './specMetadata.js';
import type { CopyChoice } from './stateCopies.js';

/** How a network is made from a checkpoint. */
export interface NetworkOptions extends CopyChoice {
  /** Name in the registry; `auto` (default): recognised by names and shapes. */
  readonly arch?: string;
  /** Options of the architecture that the weights do not tell, e.g. `{ stem: 'small', inputSize: 64 }`. */
  readonly set?: Omit<CreateOptions, 'weights' | 'seed'>;
  readonly log?: Logger;
}

/** A network of zero weights, and the tensors of the checkpoint that belong into it; none of them are read yet. */
export interface PlannedNetwork {
  readonly model: BcosModel;
  readonly plan: StatePlan;
}

/** A graph may hold a network's filters by name, and its norms only as factors. */
function withFoldedNorms(found: Recognised | null, { uses }: Checkpoint): Recognised | null {
  const hasNorms = uses?.some(({ kind }) => kind !== 'weights') ?? false;
  if (found === null || !hasNorms || found.options.norm !== 'identity') return found;
  return { ...found, options: { ...found.options, norm: 'bnu', normParameters: 'linear' } };
}

/** The architecture of a checkpoint. Throws E_ARCH_UNKNOWN, E_CKPT_CORRUPT. */
function architectureOf(
  checkpoint: Checkpoint,
  file: string,
  options: NetworkOptions,
): { arch: string; found: CreateOptions } {
  const log = options.log ?? silentLogger;
  const wanted = options.arch ?? 'auto';
  const recognised =
    withFoldedNorms(recognise(checkpoint.tensors), checkpoint) ?? recogniseUses(checkpoint.uses ?? []);
  if (wanted !== 'auto') {
    const numClasses = options.set?.numClasses === undefined ? recognised?.options.numClasses : undefined;
    return { arch: wanted, found: numClasses === undefined ? {} : { numClasses } };
  }
  const named = specOfMetadata(checkpoint.metadata, checkpoint.tensors, file);
  if (named !== null) return { arch: named.arch, found: named.options };
  if (recognised === null)
    throw new FactError({
      code: 'E_ARCH_UNKNOWN',
      message: `${file}: its ${checkpoint.tensors.length} tensors are those of no network that is known here`,
      remedy: 'Run `fact inspect` on it, and name the architecture with --arch.',
    });
  const { arch, options: found, alike } = recognised;
  log.info(`architecture: ${arch}${describe(found)} (by names and shapes)`);
  if (alike.length > 0)
    log.warn(`the same names and shapes also fit ${alike.join(', ')}; name one with --arch if it is meant`);
  if (arch === 'resnet' && found.stem === 'cifar' && options.set?.stem === undefined)
    log.warn('a 3x3 stem is taken for the one with stride 1; use --set stem=small for the one with stride 2');
  return { arch, found };
}

function describe(options: CreateOptions): string {
  const entries = Object.entries(options).map(([key, value]) => `${key} ${JSON.stringify(value)}`);
  return entries.length > 0 ? ` with ${entries.join(', ')}` : '';
}

/** Weights of a graph: by name where every one is there, else by what is computed with them. */
function planGraph(model: BcosModel, checkpoint: Checkpoint, file: string, log: Logger): StatePlan {
  const byName = new Map(checkpoint.tensors.map((tensor) => [tensor.name, tensor]));
  const taken = new Map<string, NamedTensor>();
  const absent: string[] = [];
  for (const { name, shape, dtype } of model.stateDict()) {
    const tensor = byName.get(name);
    if (tensor !== undefined && String(tensor.shape) === String(shape)) taken.set(name, tensor);
    else if (dtype === 'float32') absent.push(name);
  }
  if (absent.length > 0) {
    const match = matchStructure(model, checkpoint.uses ?? [], file, taken);
    for (const [name, tensor] of match.tensors) if (!taken.has(name)) taken.set(name, tensor);
    for (const note of match.notes) log.info(`${file}: ${note}`);
  }
  // Names and shapes are now the network's own; this checks the element types too.
  return planState(
    model,
    [...taken].map(([name, tensor]) => renamed(tensor, name)),
    {},
    file,
  );
}

/** Producer of the ONNX files of `fact export`, in their metadata. */
const PRODUCER = 'fact-tfjs';

/** The network in a checkpoint: recognised or named, and built. The caller disposes it. Throws typed errors. */
export function planNetwork(
  checkpoint: Checkpoint,
  file: string,
  options: NetworkOptions = {},
): PlannedNetwork {
  const log = options.log ?? silentLogger;
  if (checkpoint.uses !== undefined && (checkpoint.metadata.get('producer') ?? '').startsWith(PRODUCER))
    throw new CheckpointErrors(file).fault(
      'unsupported',
      '',
      'this package exported it: its filters and norms are merged for speed',
      'Convert the saved network itself.',
    );
  const { arch, found } = architectureOf(checkpoint, file, options);
  const model = createModel(arch, { ...found, ...options.set, weights: 'zero' });
  try {
    const plan =
      checkpoint.uses === undefined
        ? planState(model, checkpoint.tensors, options, file)
        : planGraph(model, checkpoint, file, log);
    if (plan.isAverage && options.ema !== true && options.prefix === undefined)
      log.warn(`${file} holds only a running average of the weights ("${plan.prefix}"); it was taken`);
    if (plan.absentCounters.length > 0)
      log.warn(
        `${plan.absentCounters.length} counters num_batches_tracked are not in the file; they are set to 0`,
      );
    if (plan.rounded.length > 0) log.warn(`${plan.rounded.length} tensors were rounded to float32`);
    model.describe({ source: basename(file) });
    return { model, plan };
  } catch (error) {
    model.dispose();
    throw error;
  }
}

/** The network in a checkpoint: recognised or named, built, and filled. The caller disposes it. Throws typed errors. */
export function modelOfCheckpoint(
  checkpoint: Checkpoint,
  file: string,
  options: NetworkOptions = {},
): { model: BcosModel; prefix: string; taken: ReadonlyMap<string, NamedTensor> } {
  const { model, plan } = planNetwork(checkpoint, file, options);
  try {
    fillState(model, plan);
  } catch (error) {
    model.dispose();
    throw error;
  }
  return { model, prefix: plan.prefix, taken: plan.taken };
}
