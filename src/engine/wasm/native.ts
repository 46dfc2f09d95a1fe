/**
 * This package's own WebAssembly kernels, running on the memory of tfjs's `wasm` backend: no copies. The one file that
 * knows how that backend (tfjs 4.22.0) keeps its tensors.
 */
import type * as tf from '@tensorflow/tfjs';
import { FactError } from '../../core/errors.js';
import { NATIVE_MODULE_BASE64 } from './nativeBinary.js';

/** What is used of tfjs's `wasm` backend. Pointers are byte offsets into its memory. */
export interface WasmBackend extends tf.KernelBackend {
  readonly wasm: {
    readonly HEAPU8: Uint8Array;
    readonly asm?: { readonly memory?: WebAssembly.Memory };
    _malloc(bytes: number): number;
    _free(pointer: number): void;
  };
  readonly dataIdMap: { get(dataId: object): { readonly memoryOffset: number } };
  makeOutput(shape: number[], dtype: tf.DataType): tf.TensorInfo;
}

type NativeFunction = (...numbers: number[]) => number;

export type NativeName =
  | 'batchMatMul'
  | 'conv2d'
  | 'conv2dInputGrad'
  | 'conv2dFilterGrad'
  | 'depthwise'
  | 'depthwiseInputGrad'
  | 'depthwiseFilterGrad'
  | 'sumPool'
  | 'sumPoolGrad'
  | 'maxPoolGrad'
  | 'scatterLast'
  | 'gatherLast'
  | 'segmentSum'
  | 'sumMiddle'
  | 'copyRows'
  | 'repeatBlocks'
  | 'gather';

const STACK_BYTES = 65536;
const ALIGNMENT = 16;

function decodeBase64(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/** The bytes of the WebAssembly module that `Native` instantiates. */
export function nativeModuleBytes(): Uint8Array<ArrayBuffer> {
  return decodeBase64(NATIVE_MODULE_BASE64);
}

/** The own kernels bound to one backend's memory. */
export class Native {
  readonly backend: WasmBackend;
  private readonly functions: Readonly<Record<string, NativeFunction>>;
  /** Pointer to the scratch block of the matrix product. */
  readonly scratch: number;

  constructor(backend: WasmBackend) {
    const memory = backend.wasm.asm?.memory;
    if (memory === undefined) {
      throw new FactError({
        code: 'E_ENGINE_BROKEN',
        message: "engine wasm: the memory of tfjs's wasm backend was not found",
        remedy: 'Install @tensorflow/tfjs-backend-wasm 4.22.0, the version that this package is made for.',
      });
    }
    this.backend = backend;
    const module = new WebAssembly.Module(nativeModuleBytes());
    const { exports } = new WebAssembly.Instance(module, { env: { memory } });
    this.functions = exports as unknown as Record<string, NativeFunction>;
    const stack = this.allocate(STACK_BYTES + ALIGNMENT);
    const top = stack + STACK_BYTES;
    (exports.__stack_pointer as WebAssembly.Global).value = (top - (top % ALIGNMENT)) | 0;
    this.scratch = this.allocate(4 * this.functions.scratchFloats());
  }

  /** Runs a kernel; arguments as in native/*.c. */
  call(name: NativeName, ...numbers: number[]): number {
    return this.functions[name](...numbers);
  }

  /** Memory of the backend's heap; the caller frees it. Throws FactError E_MEMORY. */
  allocate(bytes: number): number {
    const pointer = this.backend.wasm._malloc(bytes) >>> 0;
    if (pointer === 0 && bytes > 0) {
      throw new FactError({
        code: 'E_MEMORY',
        message: `engine wasm: no room for ${bytes} bytes`,
        remedy: 'The wasm engine holds at most 4 GB: use smaller batches or images, or the onnx engine.',
      });
    }
    return pointer;
  }

  /** Memory holding these 32-bit numbers while `use` runs. */
  withIntegers<R>(numbers: readonly number[], use: (pointer: number) => R): R {
    return this.withMemory(4 * numbers.length, (pointer) => {
      new Int32Array(this.backend.wasm.HEAPU8.buffer, pointer, numbers.length).set(numbers);
      return use(pointer);
    });
  }

  /** Memory of this many bytes while `use` runs. */
  withMemory<R>(bytes: number, use: (pointer: number) => R): R {
    const pointer = this.allocate(bytes);
    try {
      return use(pointer);
    } finally {
      this.backend.wasm._free(pointer);
    }
  }

  /** Where a tensor's values begin; tensors of other backends are moved here first. */
  pointer(tensor: tf.TensorInfo): number {
    return this.backend.dataIdMap.get(tensor.dataId).memoryOffset;
  }

  /** A new tensor of 32-bit values, undefined or zeros. Throws FactError E_MEMORY. */
  output(
    shape: readonly number[],
    fill: 'undefined' | 'zeros' = 'undefined',
    dtype: tf.DataType = 'float32',
  ): tf.TensorInfo {
    const bytes = 4 * shape.reduce((a, b) => a * b, 1);
    const info = this.backend.makeOutput([...shape], dtype);
    const from = this.pointer(info);
    if (from === 0 && bytes > 0) this.allocate(bytes);
    if (fill === 'zeros') this.backend.wasm.HEAPU8.fill(0, from, from + bytes);
    return info;
  }
}

const natives = new WeakMap<tf.KernelBackend, Native>();

/** The own kernels of a `wasm` backend, instantiated on first use. */
export function nativeOf(backend: tf.KernelBackend): Native {
  let native = natives.get(backend);
  if (native === undefined) {
    native = new Native(backend as WasmBackend);
    natives.set(backend, native);
  }
  return native;
}
