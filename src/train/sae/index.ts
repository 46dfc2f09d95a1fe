export * from './collect.js';
export * from './config.js';
export { evaluationPage } from './eval/evaluationPage.js';
export {
  type SaeEvaluation,
  type SaeStability,
  saeEvaluationSchema,
} from './eval/evaluationSchema.js';
export { compareSaes, type OtherSae, type StabilityResult, type UsedSae } from './eval/stability.js';
export * from './evaluate.js';
export * from './featureFolder.js';
export * from './featureSource.js';
export { openHeldOut } from './heldOutImages.js';
export * from './holdOut.js';
export * from './imageFeatures.js';
export { SAE_INITS, type SaeInit, type SaeStart, startWeights } from './inits.js';
export { MemoryFeatures } from './memoryFeatures.js';
export { varianceExplained } from './metrics.js';
export { normFactorOf } from './normFactor.js';
export { OnTheFly, type OnTheFlyOptions } from './onTheFly.js';
export { trainSae } from './run.js';
export type { SaeEpochSummary } from './runLogs.js';
export type { AccuracyMeter, SaeRunOptions, SaeRunResult } from './saeRun.js';
export { drawPositions, positionBudget } from './sampling.js';
export { learningRateMultiplier, type SaeSchedule } from './schedule.js';
export { type MeasuredImages, SplicedAccuracy } from './splicedAccuracy.js';
export * from './store/index.js';
export {
  TapReader,
  type TapReaderOptions,
  type TapRequest,
  type TapRows,
  type TapSize,
} from './tapReader.js';
export { type SaeStepReport, SaeTrainer, type SaeTrainerOptions } from './trainer.js';
export { type OnTheFlyJob, trainOnTheFly } from './trainOnTheFly.js';
