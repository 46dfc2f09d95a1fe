import { z } from 'zod';
import { FactError } from '../core/errors.js';
import { nearestName } from '../core/nearest.js';
import { BcosModel } from './bcosModel.js';
import { defaultLogitBias, type ModelOptions, modelOptionsSchema, type ResolvedOptions } from './options.js';
import { type ModelEntry, modelEntry } from './registry.js';
import { type ModelSpec, preprocessingSchema } from './spec.js';

const size = z.number().int().min(1);

const createOptionsSchema = modelOptionsSchema.partial().extend({
  inputSize: z.union([size, z.tuple([size, size])]).optional(),
  preprocessing: preprocessingSchema.optional(),
  classNames: z.array(z.string()).nullable().optional(),
  seed: z.number().int().min(0).optional(),
  weights: z.enum(['random', 'zero']).optional(),
});

/** Options of the network, and of the object around it. */
export interface CreateOptions extends ModelOptions {
  /** Height and width it is made for (one number: square); only recorded, it computes on any. */
  inputSize?: number | [number, number];
  /** Default: the architecture's, or for another input size resize to 8/7 of it (as 256 to 224) and centre crop. */
  preprocessing?: ModelSpec['preprocessing'];
  classNames?: string[] | null;
  /** Of the initial weights, default 0. */
  seed?: number;
  /** `zero` skips the initial weights, for networks whose weights are read at once. Default `random`. */
  weights?: 'random' | 'zero';
}

function optionError(arch: string, error: z.ZodError): FactError {
  const issue = error.issues[0];
  if (issue.code === 'unrecognized_keys') {
    const known = Object.keys(createOptionsSchema.shape);
    const nearest = nearestName(issue.keys[0], known);
    return new FactError({
      code: 'E_MODEL_OPTION',
      message: `${arch}: unknown option "${issue.keys[0]}"${nearest === undefined ? '' : `; the nearest is "${nearest}"`}`,
      remedy: `Options: ${known.join(', ')}.`,
      exitCode: 2,
    });
  }
  return new FactError({
    code: 'E_MODEL_OPTION',
    message: `${arch}: option ${issue.path.join('.') || '(all)'}: ${issue.message}`,
    remedy: 'Correct the option; the defaults are those of the architecture.',
    exitCode: 2,
  });
}

function preprocessingOf(found: ModelEntry, inputSize: [number, number]): ModelSpec['preprocessing'] {
  if (inputSize.every((d, i) => d === found.inputSize[i])) return found.preprocessing;
  return { resize: Math.round((Math.min(...inputSize) * 8) / 7), crop: inputSize };
}

/**
 * A network by its name in the registry, with fresh weights. The logit bias defaults to -ln(classes - 1).
 * Throws FactError E_MODEL_UNKNOWN, E_MODEL_OPTION.
 */
export function createModel(arch: string, options: CreateOptions = {}): BcosModel {
  const found = modelEntry(arch);
  const checked = createOptionsSchema.safeParse(options);
  if (!checked.success) throw optionError(arch, checked.error);
  const { inputSize: wanted, preprocessing, classNames, seed, weights, ...given } = checked.data;
  const numClasses = given.numClasses ?? found.defaults.numClasses;
  const logitBias = given.logitBias === undefined ? defaultLogitBias(numClasses) : given.logitBias;
  const network: ResolvedOptions = { ...found.defaults, ...given, logitBias };
  if (classNames != null && classNames.length !== numClasses) {
    throw new FactError({
      code: 'E_MODEL_OPTION',
      message: `${arch}: ${classNames.length} class names for ${numClasses} classes`,
      remedy: 'Give one name a class.',
      exitCode: 2,
    });
  }
  const inputSize: [number, number] =
    wanted === undefined ? [...found.inputSize] : typeof wanted === 'number' ? [wanted, wanted] : wanted;
  const architecture = found.build(network, seed ?? 0, weights !== 'zero');
  const names = architecture.stages.map((stage) => stage.name);
  return new BcosModel(architecture, {
    format: 'fact-model',
    version: 1,
    arch,
    options: network,
    inputSize,
    preprocessing: preprocessing ?? preprocessingOf(found, inputSize),
    logitBias,
    temperature: network.temperature,
    classNames: classNames ?? null,
    taps: names.filter((name) => name.startsWith('layer')),
    source: null,
    weightsHash: null,
  });
}
