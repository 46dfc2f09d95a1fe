export { type BcosifyForm, bcosifiedName, bcosify } from './bcosify/bcosify.js';
export { compareLogits, type LogitComparison } from './bcosify/bcosifyCheck.js';
export { type BcosifyOptions, type BcosifyReport, bcosifyFile } from './bcosify/bcosifyFile.js';
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
export type { Difference, InputParity } from './parity/networkParity.js';
export type { Parity } from './parity/parity.js';
export { type ParityReport, parityText } from './parity/parityReport.js';
export type { PickleValue } from './pytorch/pickleValues.js';
export { encodePyTorch, writePyTorch } from './pytorch/pytorchWriter.js';
export { type Checkpoint, type CheckpointFormat, parseCheckpoint, readCheckpoint } from './readCheckpoint.js';
export { type Nearest, nearestArchitecture, type Recognised, recognise } from './recognise/recognise.js';
export { encodeSafetensors, readSafetensors, writeSafetensors } from './safetensors.js';
export { isFolder, isModelFolder, type TargetFormat, targetFormat } from './targets.js';
export { readTfjs } from './tfjs/readTfjs.js';
export * from './zoo/index.js';
