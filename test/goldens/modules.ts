import type * as tf from '@tensorflow/tfjs';
import { AddInverse } from '../../src/layers/addInverse.js';
import { AllNorm2d } from '../../src/layers/allNorm2d.js';
import { AllNormUncentered2d } from '../../src/layers/allNormUncentered2d.js';
import { AvgPool2d } from '../../src/layers/avgPool2d.js';
import { BatchNorm2d } from '../../src/layers/batchNorm2d.js';
import { BatchNormUncentered2d } from '../../src/layers/batchNormUncentered2d.js';
import { BcosConv2d } from '../../src/layers/bcosConv2d.js';
import { BcosConv2dWithScale } from '../../src/layers/bcosConv2dWithScale.js';
import { BcosLinear } from '../../src/layers/bcosLinear.js';
import {
  DetachableGNInstanceNorm2d,
  DetachableGNLayerNorm2d,
  DetachableGroupNorm2d,
} from '../../src/layers/detachableGroupNorm2d.js';
import { DetachableLayerNorm } from '../../src/layers/detachableLayerNorm.js';
import { DetachablePositionNorm2d } from '../../src/layers/detachablePositionNorm2d.js';
import { Gelu } from '../../src/layers/gelu.js';
import { GlobalAvgPool2d } from '../../src/layers/globalAvgPool2d.js';
import {
  GNInstanceNormUncentered2d,
  GNLayerNormUncentered2d,
  GroupNormUncentered2d,
} from '../../src/layers/groupNormUncentered2d.js';
import { NormedLinear } from '../../src/layers/linear.js';
import { LogitLayer } from '../../src/layers/logitLayer.js';
import { MaxPool2d } from '../../src/layers/maxPool2d.js';
import { NormedConv2d } from '../../src/layers/normedConv2d.js';
import { PosEmbSinCos2d } from '../../src/layers/posEmbSinCos2d.js';
import { PositionNormUncentered2d } from '../../src/layers/positionNormUncentered2d.js';
import { StochasticDepth } from '../../src/layers/stochasticDepth.js';
import type { ModuleCase } from './moduleCase.js';

const NORMS = {
  AllNorm2d,
  AllNormUncentered2d,
  BatchNorm2d,
  BatchNormUncentered2d,
  DetachableGNInstanceNorm2d,
  DetachableGNLayerNorm2d,
  DetachableLayerNorm,
  DetachablePositionNorm2d,
  GNInstanceNormUncentered2d,
  GNLayerNormUncentered2d,
  PositionNormUncentered2d,
};

/** The layer of a golden case, named `layer`; null for a kind that is not a single layer here. */
export function layerOf(c: ModuleCase): tf.layers.Layer | null {
  const name = 'layer';
  const k = c.config;
  const norm = {
    name,
    epsilon: k.eps,
    affine: k.affine !== 'unaffine',
    bias: k.affine === 'affine',
    momentum: k.momentum,
    trackRunningStats: k.trackRunningStats,
  };
  if (c.layer in NORMS) return new NORMS[c.layer as keyof typeof NORMS](norm);
  switch (c.layer) {
    case 'BcosConv2d':
      return new BcosConv2d({ name, ...k });
    case 'BcosConv2dWithScale':
      return new BcosConv2dWithScale({ name, ...k });
    case 'BcosLinear':
      return new BcosLinear({ name, ...k });
    case 'GroupNormUncentered2d':
      return new GroupNormUncentered2d({ ...norm, groups: k.groups });
    case 'DetachableGroupNorm2d':
      return new DetachableGroupNorm2d({ ...norm, groups: k.groups });
    case 'LogitLayer':
      return new LogitLayer({ name, ...k });
    case 'AddInverse':
      return new AddInverse({ name });
    case 'AvgPool2d':
      return new AvgPool2d({ name, ...k });
    case 'AdaptiveAvgPool2d':
      return new GlobalAvgPool2d({ name });
    case 'NormedConv2d':
      return new NormedConv2d({ name, ...k });
    case 'NormedLinear':
      return new NormedLinear({ name, ...k });
    case 'MaxPool2d':
      return new MaxPool2d({ name, ...k });
    case 'GELU':
      return new Gelu({ name });
    case 'StochasticDepth':
      return new StochasticDepth({ name, probability: k.p });
    case 'PosEmbSinCos2d':
      return new PosEmbSinCos2d({ name });
    default:
      return null;
  }
}
