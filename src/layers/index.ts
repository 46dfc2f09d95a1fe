export { AddInverse } from './addInverse.js';
export { AllNorm2d } from './allNorm2d.js';
export { AllNormUncentered2d } from './allNormUncentered2d.js';
export { Attention, type AttentionConfig } from './attention.js';
export { AvgPool2d, type AvgPool2dConfig } from './avgPool2d.js';
export { BatchNorm2d } from './batchNorm2d.js';
export { BatchNormUncentered2d } from './batchNormUncentered2d.js';
export { BcosConv2d, type BcosConv2dConfig } from './bcosConv2d.js';
export { BcosConv2dWithScale, type BcosConv2dWithScaleConfig } from './bcosConv2dWithScale.js';
export { BcosifiedConv2d, type BcosifiedConv2dConfig } from './bcosifiedConv2d.js';
export { BcosifiedLinear, type BcosifiedLinearConfig } from './bcosifiedLinear.js';
export { BcosLinear, type BcosLinearConfig } from './bcosLinear.js';
export type { CallArgs } from './callArgs.js';
export type { Pair } from './checks.js';
export { Conv2d, type Conv2dConfig } from './conv2d.js';
export type { Conv2dBaseConfig } from './conv2dBase.js';
export {
  DetachableGNInstanceNorm2d,
  DetachableGNLayerNorm2d,
  DetachableGroupNorm2d,
} from './detachableGroupNorm2d.js';
export { DetachableLayerNorm } from './detachableLayerNorm.js';
export { DetachablePositionNorm2d } from './detachablePositionNorm2d.js';
export { FirstToken } from './firstToken.js';
export { Gelu, type GeluConfig } from './gelu.js';
export { GlobalAvgPool2d } from './globalAvgPool2d.js';
export type { GroupNormConfig } from './groupNorm.js';
export {
  GNInstanceNormUncentered2d,
  GNLayerNormUncentered2d,
  GroupNormUncentered2d,
} from './groupNormUncentered2d.js';
export { INITIAL_RULES, type InitialRule, RandomInitial } from './initialWeights.js';
export { LayerScale, type LayerScaleConfig } from './layerScale.js';
export { Linear, type LinearConfig, NormedLinear } from './linear.js';
export { LogitLayer, type LogitLayerConfig } from './logitLayer.js';
export { MaxPool2d, type MaxPool2dConfig } from './maxPool2d.js';
export type { NormConfig, RunningNormConfig } from './norm.js';
export { Normalise, type NormaliseConfig } from './normalise.js';
export { NormedConv2d } from './normedConv2d.js';
export { Patches, type PatchesConfig } from './patches.js';
export { PosEmbSinCos2d, positionEmbedding } from './posEmbSinCos2d.js';
export { PositionNormUncentered2d } from './positionNormUncentered2d.js';
export { Relu } from './relu.js';
export { layoutOf, STATE_LAYOUTS, type StateLayout, stateName } from './stateLayout.js';
export type { LayerWithState, StateRule } from './stateRule.js';
export { StochasticDepth, type StochasticDepthConfig } from './stochasticDepth.js';
export { TokenEmbedding, type TokenEmbeddingConfig } from './tokenEmbedding.js';
export { TokenMean } from './tokenMean.js';
export { TopKSae } from './topKSae.js';
