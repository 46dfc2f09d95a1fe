export { BaseExplainer, DEFAULT_TOP, type ImageScores, type TargetChoice } from './baseExplainer.js';
export * from './c2.js';
export * from './conceptProgram.js';
export {
  type EditClass,
  type EditOptions,
  type EditResult,
  editImage,
  predictEdit,
} from './concepts/edit/edit.js';
export { EditPass, type EditPassOptions } from './concepts/edit/editPass.js';
export { type EditPlan, type EditRequest, planEdit } from './concepts/edit/editPlan.js';
export { editDataSchema, editFileSchema } from './concepts/edit/editSchema.js';
export type { ConceptGraph, GraphEdge, GraphNode } from './concepts/graph/graph.js';
export type { GraphHop } from './concepts/graph/graphHops.js';
export { type GraphOptions, graphOfImage, type ImageGraph } from './concepts/graph/graphImage.js';
export { GraphPass, type GraphPassOptions } from './concepts/graph/graphPass.js';
export { drawGraph, type GraphPictureOptions } from './concepts/graph/graphPicture.js';
export { graphFileSchema } from './concepts/graph/graphSchema.js';
export { GraphSums, type GraphSumsOptions } from './concepts/graph/graphSums.js';
export { graphsToGraphMl, graphToDot } from './concepts/graph/graphText.js';
export { ConceptPass, type PassCode, type PassImage, type PassOptions } from './concepts/pass.js';
export {
  compareClasses,
  type Flip,
  smallestFlip,
  type VersusConcept,
  type VersusResult,
} from './concepts/versus/versus.js';
export { confusionFileSchema } from './concepts/versus/versusDataReport.js';
export { versusFileSchema } from './concepts/versus/versusSchema.js';
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
