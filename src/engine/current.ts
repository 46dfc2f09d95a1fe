/** Names of the engines. */
export type EngineName = 'onnx' | 'wasm' | 'cpu' | 'tensorflow';

/** What `startEngine` chose. */
export interface StartedEngine {
  readonly name: EngineName;
  /** One sentence: why this engine is used. */
  readonly reason: string;
  /** Whether `compile` turns functions into graphs (engine `onnx`, not switched off). */
  readonly compiles: boolean;
  /** Engine `tensorflow`: which library computes, and on what. */
  readonly library?: { readonly version: string; readonly device: string; readonly origin: string };
}

let current: StartedEngine | null = null;

/** The engine that `startEngine` started last, or null before the first start. */
export function currentEngine(): StartedEngine | null {
  return current;
}

/** Records the started engine; called by `startEngine` only. */
export function setCurrentEngine(engine: StartedEngine): void {
  current = engine;
}
