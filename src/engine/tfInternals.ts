import * as tf from '@tensorflow/tfjs';

/**
 * The one file that touches parts of TensorFlow.js (pinned: 4.22.0) that are not its public interface.
 * Everything else in `src` goes through the functions here.
 */

/** Identity of a tensor's data: tensors that share values share this object. */
export type DataId = object;

/** What a backend's data map holds for one data id (cpu backend's record, which the onnx backend extends). */
export interface DataRecord {
  values?: tf.backend_util.BackendValues | null;
  readonly dtype: tf.DataType;
  refCount: number;
  readonly complexTensorInfos?: { readonly real: tf.TensorInfo; readonly imag: tf.TensorInfo };
}

/** All registered variables, in order of creation. */
export function registeredVariables(): tf.Variable[] {
  return Object.values(tf.engine().state.registeredVariables);
}

/**
 * Points a variable at other data, as `variable.assign` does: the old data loses a reference, the new one gains
 * one. The data must belong to the current backend.
 */
export function rebindVariable(variable: tf.Variable, dataId: DataId): void {
  const engine = tf.engine();
  engine.disposeTensor(variable);
  (variable as { dataId: DataId }).dataId = dataId;
  engine.incRef(variable, engine.backend);
}

/** Takes an extra reference to data, so that nothing disposes of it; undo with `releaseData`. */
export function holdData(backend: tf.KernelBackend, dataId: DataId): void {
  backend.incRef(dataId);
}

/** Drops a reference taken with `holdData`; the data goes when it was the last one. */
export function releaseData(backend: tf.KernelBackend, dataId: DataId): void {
  if (backend.disposeData(dataId)) tf.engine().removeDataId(dataId, backend);
}

/** A tensor, tracked by the current scope, over data that a kernel of `backend` made. */
export function tensorFromInfo(info: tf.TensorInfo, backend: tf.KernelBackend): tf.Tensor {
  return tf.engine().makeTensorFromTensorInfo(info, backend);
}

/** Keeps the cpu backend (or a subclass) from printing its "install tfjs-node" banner. */
export function silenceCpuBanner(backend: tf.KernelBackend): void {
  (backend as unknown as { firstUse: boolean }).firstUse = false;
}
