export { AddInverse } from './addInverse.js';
export { AllNorm2d } from './allNorm2d.js';
export { AllNormUncentered2d } from './allNormUncentered2d.js';
export { AvgPool2d, type AvgPool2dConfig } from './avgPool2d.js';
export { BatchNorm2d } from './batchNorm2d.js';
export { BatchNormUncentered2d } from './batchNormUncentered2d.js';
export { BcosConv2d, type BcosConv2dConfig } from './bcosConv2d.js';
export type { CallArgs } from './callArgs.js';
export type { Pair } from './checks.js';
export {
  DetachableGNInstanceNorm2d,
  DetachableGNLayerNorm2d,
  DetachableGroupNorm2d,
} from './detachableGroupNorm2d.js';
export { DetachableLayerNorm } from './detachableLayerNorm.js';
export { DetachablePositionNorm2d } from './detachablePositionNorm2d.js';
export { GlobalAvgPool2d } from './globalAvgPool2d.js';
export {
  GNInstanceNormUncentered2d,
  GNLayerNormUncentered2d,
  GroupNormUncentered2d,
} from './groupNormUncentered2d.js';
export { LogitLayer, type LogitLayerConfig } from './logitLayer.js';
export type { NormConfig, RunningNormConfig } from './norm.js';
export { PositionNormUncentered2d } from './positionNormUncentered2d.js';
export { layoutOf, STATE_LAYOUTS, type StateLayout } from './stateLayout.js';
export type { LayerWithState, StateRule } from './stateRule.js';
export { StochasticDepth, type StochasticDepthConfig } from './stochasticDepth.js';
export { type SparseCode, topKDense, topKSparse } from './topK.js';
export { decode, decodeSparse, encode, encodeSparse, TopKSae, type TopKSaeArgs } from './topKSae.js';
