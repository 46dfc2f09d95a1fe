/**
 * Simple ViTs and ViT_C (a convolutional stem in place of patches), B-cos or standard. Pre-norm residual encoders, mean
 * over tokens, no class token. `to_qkv` is a plain linear map without bias in both kinds.
 */
import { Attention } from '../layers/attention.js';
import { BcosConv2d } from '../layers/bcosConv2d.js';
import { BcosifiedConv2d } from '../layers/bcosifiedConv2d.js';
import { BcosifiedLinear } from '../layers/bcosifiedLinear.js';
import { BcosLinear } from '../layers/bcosLinear.js';
import { Conv2d } from '../layers/conv2d.js';
import { DetachableGNLayerNorm2d } from '../layers/detachableGroupNorm2d.js';
import { DetachableLayerNorm } from '../layers/detachableLayerNorm.js';
import { Gelu } from '../layers/gelu.js';
import { Linear } from '../layers/linear.js';
import { Patches } from '../layers/patches.js';
import { PosEmbSinCos2d } from '../layers/posEmbSinCos2d.js';
import { TokenMean } from '../layers/tokenMean.js';
import {
  type Architecture,
  chain,
  LayerList,
  type Stage,
  straight,
  sumOf,
  type Wiring,
} from './architecture.js';
import { bcosInput, logits, normalisedInput } from './ends.js';
import type { FamilyOptions } from './options.js';

/** PyTorch's default initial weights. */
const INITIAL = 'uniform-fan-in';

export interface EncoderOptions {
  readonly dim: number;
  readonly heads: number;
  readonly headDim: number;
  readonly mlpDim: number;
  /** B-cos maps, norms without bias, no activation; else plain maps with bias, GELU. */
  readonly bcos: boolean;
  /** In place of the plain maps those of a B-cosified network: first value of their B, and whether there are biases. */
  readonly bcosified?: { readonly b: number; readonly bias: boolean };
  readonly seed: number;
}

export interface SimpleViTOptions extends EncoderOptions {
  readonly depth: number;
  /** Side of a patch, of the image or of the stem's output. */
  readonly patch: number;
  /** Channels into the stem and out of each of its convolutions; null: patches of the image. */
  readonly convStem: { readonly inChannels: number; readonly outChannels: readonly number[] } | null;
  readonly numClasses: number;
  readonly logitBias: number | null;
  readonly temperature: number | null;
}

type Kind = Pick<EncoderOptions, 'bcos' | 'bcosified' | 'seed'>;

function layerNorm(list: LayerList, name: string, o: Kind): Wiring {
  return list.add(new DetachableLayerNorm({ name, bias: o.bcosified?.bias ?? !o.bcos }));
}

/** A B-cos linear map, or a plain or B-cosified one (with bias unless said otherwise). */
function linear(list: LayerList, name: string, outFeatures: number, o: Kind, bias = true): Wiring {
  const { seed } = o;
  if (o.bcosified !== undefined) {
    const { b, bias: hasBias } = o.bcosified;
    const config = { name, outFeatures, b, bias: bias && hasBias, initial: INITIAL, seed } as const;
    return list.add(new BcosifiedLinear(config));
  }
  return list.add(
    o.bcos
      ? new BcosLinear({ name, outFeatures, initial: INITIAL, seed })
      : new Linear({ name, outFeatures, bias, initial: INITIAL, seed }),
  );
}

function gelu(name: string, o: Kind): Gelu {
  return new Gelu({ name, detachable: o.bcosified !== undefined });
}

/** norm, queries/keys/values, attention, map of the heads. */
export function vitAttention(list: LayerList, path: string, o: EncoderOptions): Wiring {
  const outFeatures = 3 * o.heads * o.headDim;
  return chain(
    layerNorm(list, `${path}.norm`, o),
    list.add(
      new Linear({ name: `${path}.to_qkv`, outFeatures, bias: false, initial: INITIAL, seed: o.seed }),
    ),
    list.add(new Attention({ name: `${path}.attention`, heads: o.heads })),
    linear(list, `${path}.to_out`, o.dim, o, false),
  );
}

/** norm, map to the inner width, (GELU,) map back. */
export function vitFeedForward(list: LayerList, path: string, o: EncoderOptions): Wiring {
  return chain(
    layerNorm(list, `${path}.net.norm`, o),
    linear(list, `${path}.net.linear1`, o.mlpDim, o),
    o.bcos ? straight : list.add(gelu(`${path}.net.act`, o)),
    linear(list, `${path}.net.linear2`, o.dim, o),
  );
}

/** x + attention(x), then the same with the feed-forward part. */
export function vitEncoder(list: LayerList, path: string, o: EncoderOptions): Wiring {
  return chain(
    sumOf(`${path}.add_attn`, vitAttention(list, `${path}.attn`, o), straight),
    sumOf(`${path}.add_ff`, vitFeedForward(list, `${path}.ff`, o), straight),
  );
}

/** 3x3 convolutions, each with norm (and GELU); stride 2 where the number of channels grows. */
export function vitConvStem(
  list: LayerList,
  path: string,
  stem: NonNullable<SimpleViTOptions['convStem']>,
  o: Kind,
): Wiring {
  const parts: Wiring[] = [];
  let channels = stem.inChannels;
  stem.outChannels.forEach((outChannels, i) => {
    const at = (offset: number): string => `${path}.${3 * i + offset}`;
    const stride = outChannels > channels ? 2 : 1;
    const shape = { outChannels, kernel: 3, stride, padding: 1 };
    const config = { name: at(0), ...shape, initial: INITIAL, seed: o.seed } as const;
    const plain =
      o.bcosified === undefined ? new Conv2d(config) : new BcosifiedConv2d({ ...config, ...o.bcosified });
    parts.push(
      list.add(o.bcos ? new BcosConv2d(config) : plain),
      list.add(new DetachableGNLayerNorm2d({ name: at(1), bias: o.bcosified?.bias ?? !o.bcos })),
    );
    if (!o.bcos) parts.push(list.add(gelu(at(2), o)));
    channels = outChannels;
  });
  return chain(...parts);
}

/** Stages of a ViT behind its encoded input; every `path` starts with `prefix` (B-cos nets: "0."). */
export function simpleViTStages(list: LayerList, prefix: string, o: SimpleViTOptions): Stage[] {
  const at = (name: string): string => `${prefix}${name}`;
  const embedding = 'to_patch_embedding';
  const { convStem } = o;
  const stages: Stage[] = [];
  if (convStem !== null) {
    const name = `${embedding}.conv_stem`;
    stages.push(list.stage(name, () => vitConvStem(list, at(name), convStem, o)));
  }
  stages.push(
    list.stage(`${embedding}.linear`, () =>
      chain(
        list.add(new Patches({ name: at(`${embedding}.patches`), size: o.patch })),
        linear(list, at(`${embedding}.linear`), o.dim, o),
      ),
    ),
    list.stage('position_embedding', () => list.add(new PosEmbSinCos2d({ name: at('position_embedding') }))),
  );
  for (let i = 0; i < o.depth; i++) {
    const name = `transformer.encoder_${i}`;
    stages.push(list.stage(name, () => vitEncoder(list, at(name), o)));
  }
  stages.push(
    list.stage('linear_head.norm', () =>
      chain(list.add(new TokenMean({ name: at('token_mean') })), layerNorm(list, at('linear_head.norm'), o)),
    ),
    list.stage('linear_head.linear', () => linear(list, at('linear_head.linear'), o.numClasses, o)),
    logits(list, prefix, o),
  );
  return stages;
}

/** Pixels of the input a token: heights and widths must be multiples of it. */
export function vitStride(o: FamilyOptions<'vit'>, bcos: boolean): number {
  let channels = bcos ? 6 : 3;
  let stride = o.patch;
  for (const outChannels of o.convStem ?? []) {
    if (outChannels > channels) stride *= 2;
    channels = outChannels;
  }
  return stride;
}

/** Describes a ViT; `seed` of its initial weights, `initialise` false leaves them zero. */
export function simpleViT(
  bcos: boolean,
  o: FamilyOptions<'vit'>,
  seed: number,
  initialise: boolean,
): Architecture {
  const list = new LayerList(initialise);
  const inChannels = bcos ? 6 : 3;
  const convStem = o.convStem === null ? null : { inChannels, outChannels: o.convStem };
  const prefix = bcos ? '0.' : '';
  const stages = [
    bcos ? bcosInput(list) : normalisedInput(list),
    ...simpleViTStages(list, prefix, { ...o, dim: o.width, bcos, convStem, seed }),
  ];
  const taps = Array.from({ length: o.depth }, (_, i) => `transformer.encoder_${i}`);
  return { stages, taps, head: `${prefix}linear_head.linear` };
}

/** Describes the B-cosified twin of a standard ViT: its wiring and names, on six channels. */
export function bcosifiedViT(
  o: FamilyOptions<'bcosifiedVit'>,
  seed: number,
  initialise: boolean,
): Architecture {
  const list = new LayerList(initialise);
  const { b, bias } = o;
  // The stem's strides are those of the standard network, which starts from three channels.
  const convStem = o.convStem === null ? null : { inChannels: 3, outChannels: o.convStem };
  const options = { ...o, dim: o.width, bcos: false, bcosified: { b, bias }, convStem, seed };
  const taps = Array.from({ length: o.depth }, (_, i) => `transformer.encoder_${i}`);
  return {
    stages: [bcosInput(list), ...simpleViTStages(list, '', options)],
    taps,
    head: 'linear_head.linear',
  };
}
