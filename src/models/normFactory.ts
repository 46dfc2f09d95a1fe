import type * as tf from '@tensorflow/tfjs';
import { AllNorm2d } from '../layers/allNorm2d.js';
import { AllNormUncentered2d } from '../layers/allNormUncentered2d.js';
import { BatchNorm2d } from '../layers/batchNorm2d.js';
import { BatchNormUncentered2d } from '../layers/batchNormUncentered2d.js';
import {
  DetachableGNInstanceNorm2d,
  DetachableGNLayerNorm2d,
  DetachableGroupNorm2d,
} from '../layers/detachableGroupNorm2d.js';
import { DetachablePositionNorm2d } from '../layers/detachablePositionNorm2d.js';
import {
  GNInstanceNormUncentered2d,
  GNLayerNormUncentered2d,
  GroupNormUncentered2d,
} from '../layers/groupNormUncentered2d.js';
import { PositionNormUncentered2d } from '../layers/positionNormUncentered2d.js';
import type { FamilyOptions, NormName } from './options.js';

/** The part of the options that describes norms. */
export type NormOptions = Pick<FamilyOptions<'resnet'>, 'norm' | 'normParameters' | 'normEpsilon'>;

/** Groups of `gn` and `gnu` in the reference's experiments. */
const GROUPS = 2;

/** A norm layer of that name, or null for `identity`. */
export function createNorm(name: string, options: NormOptions): tf.layers.Layer | null {
  const { normParameters } = options;
  const config = {
    name,
    epsilon: options.normEpsilon,
    affine: normParameters !== 'unaffine',
    bias: normParameters === 'affine',
  };
  const makers: Record<NormName, () => tf.layers.Layer | null> = {
    identity: () => null,
    bnu: () => new BatchNormUncentered2d(config),
    anu: () => new AllNormUncentered2d(config),
    gnu: () => new GroupNormUncentered2d({ ...config, groups: GROUPS }),
    inu: () => new GNInstanceNormUncentered2d(config),
    lnu: () => new GNLayerNormUncentered2d(config),
    pnu: () => new PositionNormUncentered2d(config),
    bn: () => new BatchNorm2d(config),
    an: () => new AllNorm2d(config),
    gn: () => new DetachableGroupNorm2d({ ...config, groups: GROUPS }),
    in: () => new DetachableGNInstanceNorm2d(config),
    ln: () => new DetachableGNLayerNorm2d(config),
    pn: () => new DetachablePositionNorm2d(config),
  };
  return makers[options.norm]();
}
