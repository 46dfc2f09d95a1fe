import type * as tf from '@tensorflow/tfjs';
import * as layers from '../../src/layers/index.js';

/** A layer with non-default arguments, and the shape of an input for it. */
export interface LayerExample {
  readonly name: string;
  readonly make: (name: string) => tf.layers.Layer;
  readonly shape: readonly number[];
  /** True where the output is `W(x) x` without constant terms, so that explanation mode closes exactly. */
  readonly isDynamicLinear: boolean;
}

const IMAGE = [2, 5, 4, 6];
const TOKENS = [2, 5, 12];

function image(
  make: (name: string) => tf.layers.Layer,
  isDynamicLinear = true,
  shape: readonly number[] = IMAGE,
): Omit<LayerExample, 'name'> {
  return { make, shape, isDynamicLinear };
}

const running = { epsilon: 1e-3, momentum: 0.3 };

const examples: Record<string, Omit<LayerExample, 'name'>> = {
  'BcosConv2d b=2': image(
    (name) => new layers.BcosConv2d({ name, outChannels: 4, kernel: 3, padding: 1, seed: 3 }),
  ),
  'BcosConv2d b=2 1x1': image((name) => new layers.BcosConv2d({ name, outChannels: 4, seed: 3 })),
  'BcosConv2d b=1.5 strided': image(
    (name) =>
      new layers.BcosConv2d({
        name,
        outChannels: 4,
        kernel: [3, 2],
        stride: [2, 1],
        padding: [1, 0],
        b: 1.5,
      }),
  ),
  'BcosConv2d b=2.5 groups maxOut': image(
    (name) =>
      new layers.BcosConv2d({ name, outChannels: 4, kernel: 3, padding: 1, groups: 2, maxOut: 2, b: 2.5 }),
  ),
  'BcosConv2d b=2 maxOut, filters larger than the image': image(
    (name) => new layers.BcosConv2d({ name, outChannels: 4, kernel: 3, padding: 1, maxOut: 2 }),
  ),
  'BcosConv2d b=2 groups, filters larger than the image': image(
    (name) => new layers.BcosConv2d({ name, outChannels: 4, kernel: 5, padding: 2, groups: 2 }),
  ),
  'BcosConv2d depthwise dilated': image(
    (name) => new layers.BcosConv2d({ name, outChannels: 6, kernel: 3, padding: 2, dilation: 2, groups: 6 }),
  ),
  'BcosConv2d b=1 maxOut': image(
    (name) => new layers.BcosConv2d({ name, outChannels: 4, kernel: 3, b: 1, maxOut: 3 }),
  ),
  BcosConv2dWithScale: image(
    (name) =>
      new layers.BcosConv2dWithScale({ name, outChannels: 4, kernel: 2, scale: 0.25, scaleFactor: 50 }),
  ),
  'BcosLinear b=2': image((name) => new layers.BcosLinear({ name, outFeatures: 5, seed: 2 }), true, TOKENS),
  'BcosLinear b=1.5 maxOut': image(
    (name) => new layers.BcosLinear({ name, outFeatures: 5, b: 1.5, maxOut: 2 }),
    true,
    TOKENS,
  ),
  BcosifiedConv2d: image(
    (name) => new layers.BcosifiedConv2d({ name, outChannels: 4, kernel: 3, padding: 1, b: 1.5, seed: 3 }),
  ),
  'BcosifiedConv2d 1x1': image((name) => new layers.BcosifiedConv2d({ name, outChannels: 4, b: 2 })),
  'BcosifiedConv2d groups strided bias': image(
    (name) =>
      new layers.BcosifiedConv2d({ name, outChannels: 4, kernel: 3, stride: 2, groups: 2, bias: true }),
    false,
  ),
  BcosifiedLinear: image(
    (name) => new layers.BcosifiedLinear({ name, outFeatures: 5, b: 1.5, seed: 2 }),
    true,
    TOKENS,
  ),
  'BcosifiedLinear bias': image(
    (name) => new layers.BcosifiedLinear({ name, outFeatures: 5, bias: true }),
    false,
    TOKENS,
  ),
  NormedConv2d: image(
    (name) => new layers.NormedConv2d({ name, outChannels: 4, kernel: 3, stride: 2, seed: 4 }),
  ),
  NormedLinear: image((name) => new layers.NormedLinear({ name, outFeatures: 5, bias: false }), true, TOKENS),
  Conv2d: image(
    (name) => new layers.Conv2d({ name, outChannels: 4, kernel: 3, padding: 1, groups: 2, bias: true }),
    false,
  ),
  Linear: image((name) => new layers.Linear({ name, outFeatures: 5, seed: 9 }), false, TOKENS),
  BatchNormUncentered2d: image((name) => new layers.BatchNormUncentered2d({ name, ...running, bias: false })),
  'BatchNormUncentered2d cumulative': image(
    (name) => new layers.BatchNormUncentered2d({ name, momentum: null, affine: false }),
  ),
  'BatchNormUncentered2d untracked': image(
    (name) => new layers.BatchNormUncentered2d({ name, trackRunningStats: false, bias: false }),
  ),
  AllNormUncentered2d: image((name) => new layers.AllNormUncentered2d({ name, ...running, bias: false })),
  GroupNormUncentered2d: image((name) => new layers.GroupNormUncentered2d({ name, groups: 3, bias: false })),
  GNInstanceNormUncentered2d: image((name) => new layers.GNInstanceNormUncentered2d({ name, bias: false })),
  GNLayerNormUncentered2d: image(
    (name) => new layers.GNLayerNormUncentered2d({ name, bias: false, epsilon: 1e-4 }),
  ),
  PositionNormUncentered2d: image((name) => new layers.PositionNormUncentered2d({ name, affine: false })),
  BatchNorm2d: image((name) => new layers.BatchNorm2d({ name, ...running }), false),
  AllNorm2d: image((name) => new layers.AllNorm2d({ name, ...running, bias: false }), false),
  DetachableGroupNorm2d: image((name) => new layers.DetachableGroupNorm2d({ name, groups: 2, bias: false })),
  DetachableGNInstanceNorm2d: image((name) => new layers.DetachableGNInstanceNorm2d({ name, bias: false })),
  DetachableGNLayerNorm2d: image((name) => new layers.DetachableGNLayerNorm2d({ name }), false),
  DetachablePositionNorm2d: image(
    (name) => new layers.DetachablePositionNorm2d({ name, bias: false, epsilon: 1e-6 }),
  ),
  DetachableLayerNorm: image((name) => new layers.DetachableLayerNorm({ name, bias: false }), true, TOKENS),
  AddInverse: image((name) => new layers.AddInverse({ name }), false),
  LogitLayer: image((name) => new layers.LogitLayer({ name, temperature: 0.5, bias: null }), true, [3, 7]),
  AvgPool2d: image((name) => new layers.AvgPool2d({ name, kernel: [3, 2], stride: 2, padding: 1 })),
  'AvgPool2d without padding counted': image(
    (name) => new layers.AvgPool2d({ name, kernel: 3, stride: 2, padding: 1, countIncludePad: false }),
  ),
  MaxPool2d: image((name) => new layers.MaxPool2d({ name, kernel: 3, stride: 2, padding: 1 })),
  GlobalAvgPool2d: image((name) => new layers.GlobalAvgPool2d({ name })),
  Gelu: image((name) => new layers.Gelu({ name }), false, TOKENS),
  'Gelu detachable': image((name) => new layers.Gelu({ name, detachable: true }), true, TOKENS),
  Attention: image((name) => new layers.Attention({ name, heads: 2 }), true, TOKENS),
  LayerScale: image((name) => new layers.LayerScale({ name, initial: 0.5 })),
  Patches: image((name) => new layers.Patches({ name, size: 2 }), true, [2, 4, 6, 3]),
  PosEmbSinCos2d: image((name) => new layers.PosEmbSinCos2d({ name }), false, [2, 2, 3, 8]),
  TokenMean: image((name) => new layers.TokenMean({ name }), true, TOKENS),
  StochasticDepth: image((name) => new layers.StochasticDepth({ name, probability: 0.4 })),
};

/** One example or more of every layer class of this package. */
export const layerExamples: readonly LayerExample[] = Object.entries(examples).map(([name, example]) => ({
  name,
  ...example,
}));
