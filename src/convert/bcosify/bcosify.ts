/**
 * B-cosification (Arya, Rao, Boehle, Schiele, NeurIPS 2024): a trained standard network as a B-cos one, ready for
 * fine-tuning. With B = 1, biases and the pool kept, it is the same function of the picture:
 *
 *     first map   w on (x - m)/s  =  [w (1-m)/s | -w m/s] on [x | 1-x]      per colour; zero padding means the mean in both
 *     other maps  W as it is (B-cosified layers do not normalise their filters)
 *     batch norm  weight (y - mean)/sqrt(var+e) + bias  =  weight y/sqrt(var+e) + bias',
 *                 bias' = bias - weight mean/sqrt(var+e): the mean's share moves into the bias of a norm that does not centre
 *     classifier  behind the average = before the average, because it is linear at B = 1
 *
 * The same file with biases left out, average pooling and B = 2 is what the authors fine-tune from.
 */
import { FactError } from '../../core/errors.js';
import type { BcosModel } from '../../models/bcosModel.js';
import { createModel } from '../../models/createModel.js';
import { IMAGENET_MEAN, IMAGENET_STD } from '../../models/ends.js';
import { defaultLogitBias, type ModelOptions } from '../../models/options.js';
import { listModels, modelEntry } from '../../models/registry.js';
import type { StateEntry } from '../../models/stateDict.js';
import { type NamedTensor, renamed } from '../dtypes.js';

/**
 * `equal`: the same function as the standard network (B = 1, biases and max pooling kept), for raising B step by step.
 * `published`: B = 2, no biases, average pooling, the logit bias of B-cos networks: the authors' start.
 */
export type BcosifyForm = 'equal' | 'published';

const TWINNED = /^(torchvision|standard)_/;

/** Name of the B-cosified twin of a standard architecture, or null. */
export function bcosifiedName(arch: string): string | null {
  const name = `bcosified_${arch.replace(TWINNED, '')}`;
  return TWINNED.test(arch) && listModels().some((entry) => entry.name === name) ? name : null;
}

/** Torchvision's oldest DenseNet files write `norm.1.weight` where its code has `norm1.weight`. */
export function torchvisionNames(tensors: readonly NamedTensor[]): NamedTensor[] {
  return tensors.map((tensor) =>
    renamed(tensor, tensor.name.replace(/(\.denselayer\d+\.(?:norm|conv))\.([12]\.)/, '$1$2')),
  );
}

type Source = ReadonlyMap<string, StateEntry>;

function valuesOf(source: Source, name: string): Float32Array {
  const entry = source.get(name);
  if (entry === undefined) throw new TypeError(`the standard network has no ${name}`);
  return entry.read() as Float32Array;
}

/**
 * Filters on three normalised colours as filters on [x | 1-x]; both row-major, `blocks` blocks of 3 and of 6 colours,
 * each colour `area` values.
 */
function foldColours(w: Float32Array, blocks: number, area: number): Float32Array {
  const folded = new Float32Array(2 * w.length);
  for (let block = 0; block < blocks; block++)
    for (let colour = 0; colour < 3; colour++)
      for (let i = 0; i < area; i++) {
        const value = w[(block * 3 + colour) * area + i] / IMAGENET_STD[colour];
        const mean = IMAGENET_MEAN[colour];
        folded[(block * 6 + colour) * area + i] = value * (1 - mean);
        folded[(block * 6 + 3 + colour) * area + i] = -value * mean;
      }
  return folded;
}

/** The weight of a map: as it is, or folded where the twin sees six colours and the standard network three. */
function mapWeight(entry: StateEntry, source: Source, name: string): Float32Array {
  const from = source.get(name);
  const values = valuesOf(source, name);
  if (values.length === entry.variable.size) return values;
  // [out, 6, kh, kw] <- [out, 3, kh, kw];  [out, p*p*6] <- [out, p*p*3], channel fastest
  const [outputs, ...rest] = from?.shape ?? [];
  const inputs = rest.reduce((product, size) => product * size, 1);
  if (2 * values.length !== entry.variable.size)
    throw new TypeError(`${name} does not fit ${entry.name} [${entry.shape}]`);
  return rest.length === 3
    ? foldColours(values, outputs, inputs / 3)
    : foldColours(values, (outputs * inputs) / 3, 1);
}

/** bias - weight mean / sqrt(var + e), in float64. */
function uncentredBias(source: Source, path: string, epsilon: number): Float32Array {
  const [weight, bias, mean, variance] = ['weight', 'bias', 'running_mean', 'running_var'].map((name) =>
    valuesOf(source, `${path}.${name}`),
  );
  return bias.map((value, i) => value - (weight[i] * mean[i]) / Math.sqrt(variance[i] + epsilon));
}

/** Value of one weight of the twin. */
function twinValue(
  entry: StateEntry,
  source: Source,
  b: number,
  epsilon: number,
): Float32Array | BigInt64Array {
  const { name } = entry;
  const at = name.lastIndexOf('.');
  const [path, parameter] = [name.slice(0, at), name.slice(at + 1)];
  const size = entry.variable.size;
  if (parameter === 'b') return Float32Array.of(b);
  if (parameter === 'running_mean') return new Float32Array(size); // never read: the norm does not centre
  if (source.has(`${path}.running_var`)) {
    if (parameter === 'bias') return uncentredBias(source, path, epsilon);
    return source.get(name)?.read() ?? new Float32Array(size);
  }
  // B-cosified maps hold theirs below `.linear`; norms of tokens and the plain `to_qkv` have the standard names.
  const standard = source.has(name) ? name : `${path.replace(/\.linear$/, '')}.${parameter}`;
  return mapWeight(entry, source, standard);
}

/**
 * The B-cosified twin of a standard network, with its weights; see the top of the file. The caller disposes it; the
 * standard network stays as it is. Throws FactError E_BCOSIFY where there is no twin.
 */
export function bcosify(standard: BcosModel, form: BcosifyForm = 'equal'): BcosModel {
  const { spec } = standard;
  const name = bcosifiedName(spec.arch);
  if (name === null)
    throw new FactError({
      code: 'E_BCOSIFY',
      message: `${spec.arch} ${modelEntry(spec.arch).bcos ? 'is a B-cos network already' : 'has no B-cosified form'}`,
      remedy: `Standard networks that have one: ${listModels()
        .filter((entry) => bcosifiedName(entry.name) !== null)
        .map((entry) => entry.name)
        .slice(0, 12)
        .join(', ')}, ...`,
    });
  const isPublished = form === 'published';
  const hasPool = modelEntry(name).family !== 'bcosifiedVit';
  const b = isPublished ? 2 : 1;
  const change: ModelOptions = { b, bias: !isPublished };
  if (hasPool) change.pool = isPublished ? 'avg' : 'max';
  if (isPublished) change.logitBias = defaultLogitBias(spec.options.numClasses);
  const { inputSize, preprocessing, classNames } = spec;
  const twin = createModel(name, {
    ...spec.options,
    ...change,
    inputSize,
    preprocessing,
    classNames,
    weights: 'zero',
  });
  try {
    const source: Source = new Map(standard.stateDict().map((entry) => [entry.name, entry]));
    const epsilons = new Map(
      standard.network.layers.map((layer) => [layer.name, (layer as { epsilon?: number }).epsilon ?? 0]),
    );
    for (const entry of twin.stateDict()) {
      const path = entry.name.slice(0, entry.name.lastIndexOf('.'));
      entry.write(twinValue(entry, source, b, epsilons.get(path) ?? 0));
    }
    twin.describe({ source: `B-cosified (${form}) from ${spec.source ?? spec.arch}` });
    return twin;
  } catch (error) {
    twin.dispose();
    throw error;
  }
}
