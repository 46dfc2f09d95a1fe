export * from './config.js';
export * from './eval/evaluate.js';
export { evaluationPage } from './eval/evaluationPage.js';
export {
  type SaeEvaluation,
  type SaeStability,
  saeEvaluationSchema,
} from './eval/evaluationSchema.js';
export { varianceExplained } from './eval/metrics.js';
export { compareSaes, type OtherSae, type StabilityResult, type UsedSae } from './eval/stability.js';
export * from './features/collect.js';
export * from './features/featureFolder.js';
export * from './features/featureSource.js';
export * from './features/holdOut.js';
export * from './features/imageFeatures.js';
export { MemoryFeatures } from './features/memoryFeatures.js';
export { normFactorOf } from './features/normFactor.js';
export { OnTheFly, type OnTheFlyOptions } from './features/onTheFly.js';
export { drawPositions, positionBudget } from './features/sampling.js';
export {
  TapReader,
  type TapReaderOptions,
  type TapRequest,
  type TapRows,
  type TapSize,
} from './features/tapReader.js';
export { openHeldOut } from './run/heldOutImages.js';
export { trainSae } from './run/run.js';
export type { SaeEpochSummary } from './run/runLogs.js';
export type { AccuracyMeter, SaeRunOptions, SaeRunResult } from './run/saeRun.js';
export { type MeasuredImages, SplicedAccuracy } from './run/splicedAccuracy.js';
export { type OnTheFlyJob, trainOnTheFly } from './run/trainOnTheFly.js';
export { SAE_INITS, type SaeInit, type SaeStart, startWeights } from './step/inits.js';
export { learningRateMultiplier, type SaeSchedule } from './step/schedule.js';
export { type SaeStepReport, SaeTrainer, type SaeTrainerOptions } from './step/trainer.js';
export * from './store/index.js';
