import { join } from 'node:path';
import { FactError, messageOf } from '../../core/errors.js';
import {
  type Attr,
  type Handle,
  type HostValues,
  type OpAttrs,
  type OpOutput,
  type TensorflowBinding,
  TF_BOOL,
  TF_FLOAT,
  TF_INT32,
} from './binding.js';
import { bindCApi, type CApi, type Pointer } from './cApi.js';
import { cudaLibraries } from './cudaLibraries.js';
import { checkLibraryFile } from './libraryFile.js';
import { LIBRARY_NAMES, type LibraryPlace } from './libraryPlace.js';
import { operationError, RESOURCE_EXHAUSTED } from './operationError.js';
import { checkVersion } from './version.js';

type Koffi = typeof import('koffi');
type Memcpy = (to: Pointer | HostValues, from: Pointer | HostValues, bytes: number) => unknown;

/** More outputs than any operation in use has. */
const MAX_OUTPUTS = 256;

function libraryError(place: LibraryPlace, what: string, cause?: unknown): FactError {
  return new FactError({
    code: 'E_ENGINE_LIBRARY',
    message: `engine tensorflow: the library in ${place.folder} does not load: ${what.split('\n')[0]}`,
    remedy: place.remedy,
    cause,
  });
}

async function loadKoffi(): Promise<Koffi> {
  try {
    return (await import('koffi')).default as unknown as Koffi;
  } catch (cause) {
    throw new FactError({
      code: 'E_ENGINE_MISSING',
      message: `engine tensorflow: the npm package koffi, which calls the library, is not usable: ${messageOf(cause).split('\n')[0]}`,
      remedy: 'Run `npm install koffi@3.3.4`, or use --engine onnx.',
      cause,
    });
  }
}

function tryLoad(koffi: Koffi, path: string): boolean {
  try {
    koffi.load(path, { lazy: true, global: true });
    return true;
  } catch {
    return false; // TensorFlow then computes on the processor, and `device` says so
  }
}

/** Loads what lies beside the library of CUDA, where the machine has NVIDIA's driver. */
function loadCuda(koffi: Koffi, place: LibraryPlace): void {
  const libraries = cudaLibraries(place.folder);
  if (libraries.length === 0 || !tryLoad(koffi, 'libcuda.so.1')) return;
  for (const path of libraries) tryLoad(koffi, path);
}

/** ConfigProto { intra_op_parallelism_threads (field 2), inter_op_parallelism_threads (field 5) } in protobuf's bytes. */
function threadConfig(threads: number): Uint8Array {
  const varint: number[] = [];
  for (let rest = threads; ; rest >>>= 7) {
    if (rest < 0x80) {
      varint.push(rest);
      break;
    }
    varint.push((rest & 0x7f) | 0x80);
  }
  return Uint8Array.from([0x10, ...varint, 0x28, 1]);
}

/**
 * Loads libtensorflow and starts its eager runtime; numbers of threads hold for the whole process.
 * Throws FactError E_ENGINE_MISSING (no koffi), E_ENGINE_LIBRARY (damaged, of another machine, not TensorFlow, of a
 * version that is not supported).
 */
export async function openNativeBinding(
  place: LibraryPlace,
  threads: number | undefined,
): Promise<TensorflowBinding> {
  const koffi = await loadKoffi();
  const paths = LIBRARY_NAMES.map((name) => join(place.folder, name));
  for (const path of paths) checkLibraryFile(path, place.remedy);
  // Read when the library is loaded. What fails comes back as a status; TensorFlow's own lines are for its developers.
  process.env.TF_CPP_MIN_LOG_LEVEL ??= '3';
  loadCuda(koffi, place);
  let api: CApi;
  let memcpy: Memcpy;
  try {
    const libraries = paths.map((path) => koffi.load(path, { lazy: true, global: true }));
    api = bindCApi(libraries);
    memcpy = koffi.load(null).func('void* memcpy(void* to, void* from, size_t bytes)') as unknown as Memcpy;
  } catch (error) {
    throw libraryError(place, messageOf(error), error);
  }
  checkVersion(api.version(), place);
  return new NativeBinding(api, memcpy, place, threads);
}

class NativeBinding implements TensorflowBinding {
  readonly version: string;
  readonly device: 'CPU' | 'GPU';
  readonly origin: string;
  private readonly status: Pointer;
  private readonly context: Pointer;
  private readonly gpu: string | null;
  private readonly outputs = new BigUint64Array(MAX_OUTPUTS);
  private readonly count = new Int32Array(1);

  constructor(
    private readonly api: CApi,
    private readonly memcpy: Memcpy,
    place: LibraryPlace,
    threads: number | undefined,
  ) {
    this.version = api.version();
    this.origin = place.folder;
    this.status = api.newStatus();
    this.context = this.openContext(place, threads);
    this.gpu = this.findGpu();
    this.device = this.gpu === null ? 'CPU' : 'GPU';
  }

  private openContext(place: LibraryPlace, threads: number | undefined): Pointer {
    const { api, status } = this;
    const options = api.newOptions();
    if (threads !== undefined) {
      const config = threadConfig(threads);
      api.setConfig(options, config, config.length, status);
    }
    const context = api.newContext(options, status);
    api.deleteOptions(options);
    if (api.code(status) !== 0) throw libraryError(place, api.message(status));
    return context;
  }

  /** The device name of the last GPU listed, or null. */
  private findGpu(): string | null {
    const { api, status } = this;
    const list = api.listDevices(this.context, status);
    let found: string | null = null;
    for (let i = 0; i < api.deviceCount(list); i++)
      if (api.deviceType(list, i, status) === 'GPU') found = api.deviceName(list, i, status);
    api.deleteDeviceList(list);
    return found;
  }

  create(dtype: number, shape: readonly number[], values: HostValues): Handle {
    const { api, status } = this;
    const dims = BigInt64Array.from(shape.length === 0 ? [0] : shape, (size) => BigInt(size));
    const tensor = api.allocate(dtype, dims, shape.length, values.byteLength);
    if (!tensor || Number(api.tensorBytes(tensor)) !== values.byteLength) {
      if (tensor) api.deleteTensor(tensor);
      throw operationError('a new tensor', !tensor, `[${shape}] does not take ${values.byteLength} bytes`);
    }
    if (values.byteLength > 0) this.memcpy(api.tensorData(tensor), values, values.byteLength);
    const handle = api.newHandle(tensor, status);
    api.deleteTensor(tensor);
    this.check('a new tensor');
    if (this.gpu === null || dtype === TF_INT32) return handle;
    const moved = api.copyToDevice(handle, this.context, this.gpu, status);
    api.deleteHandle(handle);
    this.check('a copy to the GPU');
    return moved;
  }

  read(handle: Handle): HostValues {
    const { api, status } = this;
    const dtype = api.handleType(handle as Pointer);
    const tensor = api.resolve(handle as Pointer, status);
    this.check('reading a tensor');
    const bytes = Number(api.tensorBytes(tensor));
    const values = hostArray(dtype, bytes);
    if (bytes > 0) this.memcpy(values, api.tensorData(tensor), bytes);
    api.deleteTensor(tensor);
    return values;
  }

  release(handle: Handle): void {
    this.api.deleteHandle(handle as Pointer);
  }

  execute(name: string, inputs: readonly Handle[], attrs: OpAttrs, count: number): OpOutput[] {
    const { api, status, outputs } = this;
    const op = api.newOp(this.context, name, status);
    if (!op) this.check(name);
    try {
      for (const input of inputs) {
        api.addInput(op, input as Pointer, status);
        if (api.code(status) !== 0) this.check(name);
      }
      for (const key in attrs) this.setAttr(op, key, attrs[key]);
      this.count[0] = count;
      api.execute(op, outputs, this.count, status);
      if (api.code(status) !== 0) this.check(name);
    } finally {
      api.deleteOp(op);
    }
    const results = new Array<OpOutput>(this.count[0]);
    for (let i = 0; i < results.length; i++) results[i] = this.describe(outputs[i]);
    return results;
  }

  private describe(handle: Pointer): OpOutput {
    const { api, status } = this;
    const rank = api.handleRank(handle, status);
    const shape = new Array<number>(rank);
    for (let axis = 0; axis < rank; axis++) shape[axis] = Number(api.handleDim(handle, axis, status));
    return { handle, shape, dtype: api.handleType(handle) };
  }

  private setAttr(op: Pointer, name: string, attr: Attr): void {
    const { api } = this;
    switch (attr.kind) {
      case 'type':
        api.setType(op, name, attr.value);
        break;
      case 'int':
        api.setInt(op, name, attr.value);
        break;
      case 'float':
        api.setFloat(op, name, attr.value);
        break;
      case 'bool':
        api.setBool(op, name, attr.value ? 1 : 0);
        break;
      case 'string': {
        const bytes = Buffer.from(attr.value);
        api.setString(op, name, bytes, bytes.length);
        break;
      }
      case 'ints':
        api.setIntList(op, name, BigInt64Array.from(attr.value, BigInt), attr.value.length);
    }
  }

  private check(what: string): void {
    const code = this.api.code(this.status);
    if (code !== 0) throw operationError(what, code === RESOURCE_EXHAUSTED, this.api.message(this.status));
  }
}

function hostArray(dtype: number, bytes: number): HostValues {
  if (dtype === TF_FLOAT) return new Float32Array(bytes / 4);
  if (dtype === TF_INT32) return new Int32Array(bytes / 4);
  if (dtype === TF_BOOL) return new Uint8Array(bytes);
  throw operationError('reading a tensor', false, `elements of TensorFlow's type ${dtype} are not supported`);
}
