import * as tf from '@tensorflow/tfjs';
import { ONNX_BACKEND, OnnxBackend, registerKernels } from './backend.js';
import { OrtRuntime } from './session.js';

/**
 * Registers the tfjs backend `onnx`; `tf.setBackend('onnx')` then makes it current. A second call may change the
 * number of threads: of kernels run one by one and of functions compiled from then on.
 * Throws FactError E_ENGINE_MISSING where onnxruntime-node is absent or does not work.
 */
export async function registerOnnxBackend(options: { threads?: number } = {}): Promise<void> {
  const registered = tf.findBackend(ONNX_BACKEND);
  if (registered instanceof OnnxBackend) {
    if (options.threads !== undefined) registered.setThreads(options.threads);
    return;
  }
  const backend = new OnnxBackend(await OrtRuntime.load(options.threads));
  tf.registerBackend(ONNX_BACKEND, () => backend, 1);
  registerKernels();
}
