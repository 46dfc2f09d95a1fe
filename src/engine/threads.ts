import * as tf from '@tensorflow/tfjs';
import { OnnxBackend } from './onnx/backend.js';

/** Threads that share an operation on the current engine; undefined where ONNX Runtime was left to take all cores. */
export function engineThreads(): number | undefined {
  const backend = tf.backend();
  return backend instanceof OnnxBackend ? backend.runtime.threads : 1;
}
