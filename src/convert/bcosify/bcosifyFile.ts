import { type Logger, silentLogger } from '../../core/log.js';
import type { BcosModel } from '../../models/bcosModel.js';
import { loadModel } from '../../models/loadModel.js';
import { modelOfCheckpoint, type NetworkOptions } from '../network.js';
import { readCheckpoint } from '../readCheckpoint.js';
import { checkTarget, isModelFolder, targetFormat, usage } from '../targets.js';
import { type BcosifyForm, bcosify, torchvisionNames } from './bcosify.js';
import { checkEqualLogits, compareLogits, type LogitComparison } from './bcosifyCheck.js';

export interface BcosifyOptions extends NetworkOptions {
  /** Default `equal`. */
  readonly form?: BcosifyForm;
  /** Replace an existing target. */
  readonly force?: boolean;
  readonly log?: Logger;
}

export interface BcosifyReport {
  readonly source: string;
  readonly target: string;
  /** Architecture of the standard network and of its twin. */
  readonly from: string;
  readonly to: string;
  readonly form: BcosifyForm;
  readonly parameters: number;
  /** The logits of both on random pictures. */
  readonly logits: LogitComparison;
}

/** The standard network of a file or folder. */
async function standardNetwork(source: string, options: BcosifyOptions): Promise<BcosModel> {
  if (isModelFolder(source)) return loadModel(source);
  const checkpoint = await readCheckpoint(source);
  return modelOfCheckpoint({ ...checkpoint, tensors: torchvisionNames(checkpoint.tensors) }, source, options)
    .model;
}

/**
 * Turns a trained standard network (a checkpoint file, or the folder of a saved network) into the folder of its B-cosified
 * twin, and compares the logits of both on the current engine; in the form `equal` they must agree.
 * Throws FactError E_BCOSIFY, E_PARITY (nothing is written), E_USAGE, E_EXISTS, E_WRITE and the errors of the readers.
 */
export async function bcosifyFile(
  source: string,
  target: string,
  options: BcosifyOptions = {},
): Promise<BcosifyReport> {
  const { form = 'equal', log = silentLogger } = options;
  const format = targetFormat(target);
  if (format !== 'tfjs')
    throw usage(
      `${target}: a B-cosified network is written as a folder`,
      'Name a folder; `fact convert` makes a file of it afterwards.',
    );
  checkTarget(source, target, format, options.force === true);
  const standard = await standardNetwork(source, options);
  let twin: BcosModel | null = null;
  try {
    twin = bcosify(standard, form);
    const logits = await compareLogits(standard, twin);
    if (form === 'equal') checkEqualLogits(logits, source);
    else
      log.info('the published form drops biases and max pooling and starts at B = 2: its logits are others');
    await twin.save(target);
    return {
      source,
      target,
      from: standard.spec.arch,
      to: twin.spec.arch,
      form,
      parameters: twin.countParameters(),
      logits,
    };
  } finally {
    twin?.dispose();
    standard.dispose();
  }
}
