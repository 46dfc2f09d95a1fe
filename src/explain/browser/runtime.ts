/** ONNX Runtime in the browser, loaded from beside the page, and a session of the page's own file. */
import type { Env, InferenceSession, InferenceSessionFactory, TensorConstructor } from 'onnxruntime-common';

/** The part of the module `onnxruntime-web` that is used here. */
export interface WebRuntime {
  readonly env: Env;
  readonly Tensor: TensorConstructor;
  readonly InferenceSession: InferenceSessionFactory;
}

/** What computes: WebAssembly on the processor, or WebGPU on the graphics card. */
export type Device = 'wasm' | 'webgpu';

/** More threads than this do not help networks of the size that a page loads. */
const MOST_THREADS = 8;

/** Whether this browser lets a page use the graphics card. */
export async function hasWebGpu(): Promise<boolean> {
  const { gpu } = navigator as { gpu?: { requestAdapter(): Promise<unknown> } };
  if (gpu === undefined) return false;
  return gpu.requestAdapter().then(
    (adapter) => adapter !== null,
    () => false,
  );
}

/** Threads that WebAssembly may use: one where the page is not isolated from other origins. */
export function threadCount(): number {
  return globalThis.crossOriginIsolated ? Math.min(MOST_THREADS, navigator.hardwareConcurrency || 1) : 1;
}

const MODULES: Readonly<Record<Device, string>> = {
  wasm: 'ort.wasm.min.mjs',
  webgpu: 'ort.webgpu.min.mjs',
};

/** Whether the folder (an address relative to the page, ending in a slash) has the runtime for a device. */
export async function hasRuntime(folder: string, device: Device): Promise<boolean> {
  const answer = await fetch(folder + MODULES[device], { method: 'HEAD' }).catch(() => null);
  return answer?.ok === true;
}

/** Loads the runtime for a device from a folder, an address relative to the page. */
export async function loadRuntime(folder: string, device: Device): Promise<WebRuntime> {
  const base = new URL(folder, document.baseURI).href;
  const runtime = (await import(base + MODULES[device])) as WebRuntime;
  runtime.env.wasm.wasmPaths = base;
  runtime.env.wasm.numThreads = threadCount();
  return runtime;
}

/** Bytes of a file beside the page; `progress` hears how many have come, of how many (0: unknown). */
export async function fetchBytes(
  address: string,
  progress: (done: number, total: number) => void,
): Promise<Uint8Array> {
  const answer = await fetch(address);
  if (!answer.ok || answer.body === null) throw new Error(`${address}: the server answers ${answer.status}`);
  const total = Number(answer.headers.get('content-length') ?? 0);
  const pieces: Uint8Array[] = [];
  let done = 0;
  const reader = answer.body.getReader();
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    pieces.push(next.value);
    done += next.value.length;
    progress(done, total);
  }
  const bytes = new Uint8Array(done);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

/** A session of a file's bytes. */
export function openSession(
  runtime: WebRuntime,
  bytes: Uint8Array,
  device: Device,
): Promise<InferenceSession> {
  return runtime.InferenceSession.create(bytes, {
    logSeverityLevel: 3,
    executionProviders: device === 'webgpu' ? ['webgpu', 'wasm'] : ['wasm'],
  });
}
