import { FactError } from '../../core/errors.js';

/** TensorFlow's status code for memory that ran out (tf_status.h). */
export const RESOURCE_EXHAUSTED = 8;

/** What an operation that failed inside TensorFlow becomes: E_MEMORY where memory ran out, else E_ENGINE_OPERATION. */
export function operationError(op: string, isMemory: boolean, message: string): FactError {
  const text = message.split('\n')[0];
  if (isMemory)
    return new FactError({
      code: 'E_MEMORY',
      message: `engine tensorflow: ${op}: ${text}`,
      remedy: 'Use a smaller batch or smaller images.',
    });
  return new FactError({
    code: 'E_ENGINE_OPERATION',
    message: `engine tensorflow: ${op}: ${text}`,
    remedy: 'Check the shapes and indices given to this operation, or run it with --engine onnx or wasm.',
  });
}
