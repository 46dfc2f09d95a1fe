export { BaseExplainer, DEFAULT_TOP, type ImageScores, type TargetChoice } from './baseExplainer.js';
export * from './c2.js';
export * from './classes.js';
export * from './conceptProgram.js';
export { Explainer, type ExplainerOptions } from './explainer.js';
export * from './explanation.js';
export {
  type ExportedModel,
  type ExportModelOptions,
  type ExportSource,
  exportModel,
} from './exported/exportModel.js';
export * from './factSae.js';
export * from './ledger.js';
export * from './networkPart.js';
export * from './parts.js';
export * from './picture/gradientPicture.js';
export { drawExplanation } from './picture/picture.js';
export * from './picture/resizeMap.js';
export * from './report/report.js';
export { checkOutput, type ReportEntry, ReportFolder } from './report/reportFolder.js';
export * from './report/reportSchema.js';
export * from './sae.js';
export * from './session/explainFiles.js';
export * from './session/imageFiles.js';
export * from './session/session.js';
export * from './session/shipped.js';
export * from './stats.js';
