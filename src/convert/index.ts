export { castFloats, type FloatDType, toFloat32, toInt64 } from './castTensor.js';
export {
  type ConvertOptions,
  type ConvertReport,
  convertCheckpoint,
  isFolder,
  isModelFolder,
  modelOfCheckpoint,
  type TargetFormat,
  targetFormat,
} from './convertCheckpoint.js';
export { DTYPES, type DType, type DTypeFacts, dtypeFacts, type NamedTensor } from './dtypes.js';
export { type FactSaeArrays, factSaeOf, readFactSae } from './factSae.js';
export { type LoadedState, tensorsOfModel, writeState } from './modelState.js';
export type { Parity } from './parity.js';
export type { PickleValue } from './pickleValues.js';
export { encodePyTorch, writePyTorch } from './pytorchWriter.js';
export { type Checkpoint, type CheckpointFormat, parseCheckpoint, readCheckpoint } from './readCheckpoint.js';
export { type Recognised, recognise } from './recognise.js';
export { encodeSafetensors, readSafetensors, writeSafetensors } from './safetensors.js';
export * from './zoo/index.js';
