import type { LibraryHandle } from 'koffi';

/** An address; what it points to is known to TensorFlow only. */
export type Pointer = bigint;

/**
 * The functions of TensorFlow's C API in use, as tensorflow/c/c_api.h, tf_tensor.h and eager/c_api.h of TensorFlow
 * 2.18.1 declare them (the same from 2.9 to 2.21). Every pointer is opaque here. They are declared once, in this file,
 * because a wrong declaration ends the process.
 */
export interface CApi {
  version(): string;
  newStatus(): Pointer;
  code(status: Pointer): number;
  message(status: Pointer): string;
  newOptions(): Pointer;
  setConfig(options: Pointer, proto: Uint8Array, size: number, status: Pointer): void;
  deleteOptions(options: Pointer): void;
  newContext(options: Pointer, status: Pointer): Pointer;
  listDevices(context: Pointer, status: Pointer): Pointer;
  deviceCount(list: Pointer): number;
  deviceType(list: Pointer, index: number, status: Pointer): string;
  deviceName(list: Pointer, index: number, status: Pointer): string;
  deleteDeviceList(list: Pointer): void;
  allocate(dtype: number, dims: BigInt64Array, rank: number, bytes: number): Pointer;
  deleteTensor(tensor: Pointer): void;
  tensorData(tensor: Pointer): Pointer;
  tensorBytes(tensor: Pointer): number | bigint;
  newHandle(tensor: Pointer, status: Pointer): Pointer;
  deleteHandle(handle: Pointer): void;
  resolve(handle: Pointer, status: Pointer): Pointer;
  copyToDevice(handle: Pointer, context: Pointer, device: string, status: Pointer): Pointer;
  handleType(handle: Pointer): number;
  handleRank(handle: Pointer, status: Pointer): number;
  handleDim(handle: Pointer, axis: number, status: Pointer): number | bigint;
  newOp(context: Pointer, name: string, status: Pointer): Pointer;
  deleteOp(op: Pointer): void;
  addInput(op: Pointer, handle: Pointer, status: Pointer): void;
  setType(op: Pointer, name: string, value: number): void;
  setInt(op: Pointer, name: string, value: number): void;
  setFloat(op: Pointer, name: string, value: number): void;
  setBool(op: Pointer, name: string, value: number): void;
  setString(op: Pointer, name: string, value: Uint8Array, length: number): void;
  setIntList(op: Pointer, name: string, values: BigInt64Array, count: number): void;
  execute(op: Pointer, outputs: BigUint64Array, count: Int32Array, status: Pointer): void;
}

/** Names and strings are read during the call only. */
const DECLARATIONS: Readonly<Record<keyof CApi, string>> = {
  version: 'const char* TF_Version()',
  newStatus: 'void* TF_NewStatus()',
  code: 'int TF_GetCode(void* status)',
  message: 'const char* TF_Message(void* status)',
  newOptions: 'void* TFE_NewContextOptions()',
  setConfig: 'void TFE_ContextOptionsSetConfig(void* options, void* proto, size_t size, void* status)',
  deleteOptions: 'void TFE_DeleteContextOptions(void* options)',
  newContext: 'void* TFE_NewContext(void* options, void* status)',
  listDevices: 'void* TFE_ContextListDevices(void* context, void* status)',
  deviceCount: 'int TF_DeviceListCount(void* list)',
  deviceType: 'const char* TF_DeviceListType(void* list, int index, void* status)',
  deviceName: 'const char* TF_DeviceListName(void* list, int index, void* status)',
  deleteDeviceList: 'void TF_DeleteDeviceList(void* list)',
  allocate: 'void* TF_AllocateTensor(int dtype, void* dims, int rank, size_t bytes)',
  deleteTensor: 'void TF_DeleteTensor(void* tensor)',
  tensorData: 'void* TF_TensorData(void* tensor)',
  tensorBytes: 'size_t TF_TensorByteSize(void* tensor)',
  newHandle: 'void* TFE_NewTensorHandle(void* tensor, void* status)',
  deleteHandle: 'void TFE_DeleteTensorHandle(void* handle)',
  resolve: 'void* TFE_TensorHandleResolve(void* handle, void* status)',
  copyToDevice:
    'void* TFE_TensorHandleCopyToDevice(void* handle, void* context, const char* device, void* status)',
  handleType: 'int TFE_TensorHandleDataType(void* handle)',
  handleRank: 'int TFE_TensorHandleNumDims(void* handle, void* status)',
  handleDim: 'int64_t TFE_TensorHandleDim(void* handle, int axis, void* status)',
  newOp: 'void* TFE_NewOp(void* context, const char* name, void* status)',
  deleteOp: 'void TFE_DeleteOp(void* op)',
  addInput: 'void TFE_OpAddInput(void* op, void* handle, void* status)',
  setType: 'void TFE_OpSetAttrType(void* op, const char* name, int value)',
  setInt: 'void TFE_OpSetAttrInt(void* op, const char* name, int64_t value)',
  setFloat: 'void TFE_OpSetAttrFloat(void* op, const char* name, float value)',
  setBool: 'void TFE_OpSetAttrBool(void* op, const char* name, unsigned char value)',
  setString: 'void TFE_OpSetAttrString(void* op, const char* name, void* value, size_t length)',
  setIntList: 'void TFE_OpSetAttrIntList(void* op, const char* name, void* values, int count)',
  execute: 'void TFE_Execute(void* op, void* outputs, void* count, void* status)',
};

/** One function, from the first library that has it. Throws where none has. */
function bindFirst(libraries: readonly LibraryHandle[], declaration: string): unknown {
  for (const library of libraries) {
    try {
      return library.func(declaration);
    } catch {
      // not in this one: the next may have it
    }
  }
  throw new Error(`it has no function ${/(\w+)\(/.exec(declaration)?.[1]}`);
}

/** Binds every function, from whichever of the libraries has it. Throws with the name of one that none has. */
export function bindCApi(libraries: readonly LibraryHandle[]): CApi {
  const bound: Partial<Record<keyof CApi, unknown>> = {};
  for (const [key, declaration] of Object.entries(DECLARATIONS) as [keyof CApi, string][]) {
    bound[key] = bindFirst(libraries, declaration);
  }
  return bound as unknown as CApi;
}
