export { type BcosifyForm, bcosifiedName, bcosify } from './bcosify.js';
export { compareLogits, type LogitComparison } from './bcosifyCheck.js';
export { type BcosifyOptions, type BcosifyReport, bcosifyFile } from './bcosifyFile.js';
export { castFloats, type FloatDType, toFloat32, toInt64 } from './castTensor.js';
export {
  type ConvertOptions,
  type ConvertReport,
  convertCheckpoint,
  type OnnxExporter,
  readAny,
} from './convertCheckpoint.js';
export { byteLengthOf, DTYPES, type DType, type DTypeFacts, dtypeFacts, type NamedTensor } from './dtypes.js';
export { type FactSaeArrays, factSaeOf, readFactSae } from './factSae.js';
export { planState, type StatePlan, tensorsOfModel, writeState } from './modelState.js';
export { modelOfCheckpoint, type NetworkOptions, type PlannedNetwork, planNetwork } from './network.js';
export type { Difference, InputParity } from './networkParity.js';
export type { Parity } from './parity.js';
export { type ParityReport, parityText } from './parityReport.js';
export type { PickleValue } from './pickleValues.js';
export { encodePyTorch, writePyTorch } from './pytorchWriter.js';
export { type Checkpoint, type CheckpointFormat, parseCheckpoint, readCheckpoint } from './readCheckpoint.js';
export { type Nearest, nearestArchitecture, type Recognised, recognise } from './recognise.js';
export { encodeSafetensors, readSafetensors, writeSafetensors } from './safetensors.js';
export { isFolder, isModelFolder, type TargetFormat, targetFormat } from './targets.js';
export { readTfjs } from './tfjs/readTfjs.js';
export * from './zoo/index.js';
