import { z } from 'zod';
import { FactError } from '../core/errors.js';
import { nearestName } from '../core/nearest.js';
import { BcosModel } from './bcosModel.js';
import type { ModelEntry } from './modelEntry.js';
import { defaultLogitBias, FAMILY_OPTIONS, type ModelOptions, type ResolvedOptions } from './options.js';
import { modelEntry } from './registry.js';
import { type ModelSpec, preprocessingSchema } from './spec.js';

const size = z.number().int().min(1);

/** Options of the object around the network. */
const OBJECT_OPTIONS = {
  inputSize: z.union([size, z.tuple([size, size])]).optional(),
  preprocessing: preprocessingSchema.optional(),
  classNames: z.array(z.string()).nullable().optional(),
  seed: z.number().int().min(0).optional(),
  weights: z.enum(['random', 'zero']).optional(),
};

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

function optionError({ name: arch, family }: ModelEntry, error: z.ZodError): FactError {
  const issue = error.issues[0];
  if (issue.code === 'unrecognized_keys') {
    const known = [...Object.keys(FAMILY_OPTIONS[family].shape), ...Object.keys(OBJECT_OPTIONS)];
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

/** What a caller gave, checked and split into the network's part and the rest. Throws FactError E_MODEL_OPTION. */
function checkOptions(found: ModelEntry, options: CreateOptions) {
  const ofNetwork: z.ZodObject = FAMILY_OPTIONS[found.family];
  const ofObject = z.object(OBJECT_OPTIONS);
  const checked = ofNetwork.partial().extend(OBJECT_OPTIONS).safeParse(options);
  if (!checked.success) throw optionError(found, checked.error);
  const own = Object.entries(checked.data).filter(([key]) => !(key in OBJECT_OPTIONS));
  return { given: Object.fromEntries(own) as ModelOptions, object: ofObject.parse(options) };
}

/** Numbers that the network puts out; those of a feature extractor are its width. */
function classesOf({ family, defaults }: ModelEntry, given: ModelOptions): number {
  if (family === 'dinov2') return given.width ?? defaults.width;
  return given.numClasses ?? defaults.numClasses;
}

/**
 * A network by its name in the registry, with fresh weights. The logit bias of B-cos networks defaults to
 * -ln(classes - 1). Throws FactError E_MODEL_UNKNOWN, E_MODEL_OPTION.
 */
export function createModel(arch: string, options: CreateOptions = {}): BcosModel {
  const found = modelEntry(arch);
  const { given, object } = checkOptions(found, options);
  const { inputSize: wanted, preprocessing, classNames, seed, weights } = object;
  const numClasses = classesOf(found, given);
  const fallback = found.bcos ? defaultLogitBias(numClasses) : null;
  const logitBias = given.logitBias === undefined ? fallback : given.logitBias;
  const network: ResolvedOptions = { ...found.defaults, ...given, numClasses, logitBias };
  const refuse = (message: string, remedy: string): FactError =>
    new FactError({ code: 'E_MODEL_OPTION', message: `${found.name}: ${message}`, remedy, exitCode: 2 });
  if (classNames != null && classNames.length !== numClasses)
    throw refuse(`${classNames.length} class names for ${numClasses} classes`, 'Give one name a class.');
  const inputSize: [number, number] =
    wanted === undefined ? [...found.inputSize] : typeof wanted === 'number' ? [wanted, wanted] : wanted;
  const multiple = found.multipleOf(network);
  if (inputSize.some((side) => side % multiple !== 0))
    throw refuse(
      `an input of ${inputSize.join('x')} is not made of patches of ${multiple} pixels`,
      `Choose a height and width that are multiples of ${multiple}.`,
    );
  const architecture = found.build(network, seed ?? 0, weights !== 'zero');
  return new BcosModel(architecture, {
    format: 'fact-model',
    version: 1,
    arch: found.name,
    kind: found.kind,
    options: network,
    inputSize,
    preprocessing: preprocessing ?? preprocessingOf(found, inputSize),
    logitBias,
    temperature: network.temperature,
    classNames: classNames ?? null,
    taps: [...architecture.taps],
    source: null,
    weightsHash: null,
  });
}
