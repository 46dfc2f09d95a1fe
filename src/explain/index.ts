export { BaseExplainer, DEFAULT_TOP, type ImageScores, type TargetChoice } from './baseExplainer.js';
export * from './c2.js';
export * from './classes.js';
export * from './conceptProgram.js';
export { Explainer, type ExplainerOptions } from './explainer.js';
export * from './explainFiles.js';
export * from './explanation.js';
export {
  type ExportedModel,
  type ExportModelOptions,
  type ExportSource,
  exportModel,
} from './exportedModel.js';
export * from './factSae.js';
export * from './gradientPicture.js';
export * from './imageFiles.js';
export * from './ledger.js';
export * from './networkPart.js';
export * from './parts.js';
export { drawExplanation } from './picture.js';
export * from './report.js';
export { checkOutput, type ReportEntry, ReportFolder } from './reportFolder.js';
export * from './reportSchema.js';
export * from './resizeMap.js';
export * from './sae.js';
export * from './session.js';
export * from './shipped.js';
export * from './stats.js';
