import type { EngineName } from '../src/engine/start.js';

/** The engine that tests compute on: FACT_ENGINE, default `onnx`. */
export function testEngine(): EngineName {
  return (process.env.FACT_ENGINE ?? 'onnx') as EngineName;
}
