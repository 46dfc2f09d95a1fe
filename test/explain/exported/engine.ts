import { beforeAll } from 'vitest';
import { startEngine } from '../../../src/engine/start.js';

/** Exporting is recording: it needs engine `onnx`, whichever engine the other tests use. */
export function useOnnx(): void {
  beforeAll(async () => {
    await startEngine({ engine: 'onnx', threads: 1 });
  });
}
