import { FactError } from '../core/errors.js';
import { fromFloat16, toFloat16 } from '../core/float16.js';
import { countOf, type DType, lazyTensor, type NamedTensor } from './dtypes.js';

/** Element types that weights can be stored in. */
export type FloatDType = 'float32' | 'float16' | 'bfloat16';

/** The bytes in a buffer of their own, so that any typed array can be laid over it; copied only where they are a view. */
function aligned(bytes: Uint8Array): ArrayBuffer {
  const { buffer } = bytes;
  if (buffer instanceof ArrayBuffer && buffer.byteLength === bytes.byteLength) return buffer;
  return new Uint8Array(bytes).buffer;
}

/** Upper half of float32 bits, rounded to nearest, ties to even. */
function toBFloat16(bits: number): number {
  if ((bits & 0x7fffffff) > 0x7f800000) return ((bits >>> 16) | 0x40) & 0xffff;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

/**
 * Elements of a tensor as float32, exact for float16 and bfloat16, rounded for float64 and wide integers.
 * Throws FactError E_CKPT_UNSUPPORTED for 8-bit floats and complex numbers.
 */
export function toFloat32(tensor: NamedTensor): Float32Array {
  const buffer = aligned(tensor.bytes);
  switch (tensor.dtype) {
    case 'float32':
      return new Float32Array(buffer);
    case 'float64':
      return Float32Array.from(new Float64Array(buffer));
    case 'float16':
      return fromFloat16(tensor.bytes);
    case 'bfloat16': {
      const out = new Uint32Array(countOf(tensor.shape));
      new Uint16Array(buffer).forEach((bits, i) => {
        out[i] = bits << 16;
      });
      return new Float32Array(out.buffer);
    }
    case 'int64':
      return Float32Array.from(new BigInt64Array(buffer), Number);
    case 'int32':
      return Float32Array.from(new Int32Array(buffer));
    case 'int16':
      return Float32Array.from(new Int16Array(buffer));
    case 'int8':
      return Float32Array.from(new Int8Array(buffer));
    case 'uint8':
    case 'bool':
      return Float32Array.from(new Uint8Array(buffer));
    default:
      throw new FactError({
        code: 'E_CKPT_UNSUPPORTED',
        message: `tensor ${JSON.stringify(tensor.name)} is ${tensor.dtype}, which cannot become float32`,
        remedy: 'Convert the checkpoint to float32, float16 or bfloat16 first.',
      });
  }
}

/** Elements of an integer tensor. Throws FactError E_CKPT_UNSUPPORTED for other types. */
export function toInt64(tensor: NamedTensor): BigInt64Array {
  const buffer = aligned(tensor.bytes);
  switch (tensor.dtype) {
    case 'int64':
      return new BigInt64Array(buffer);
    case 'int32':
      return BigInt64Array.from(new Int32Array(buffer), BigInt);
    case 'int16':
      return BigInt64Array.from(new Int16Array(buffer), BigInt);
    case 'uint8':
      return BigInt64Array.from(new Uint8Array(buffer), BigInt);
    default:
      throw new FactError({
        code: 'E_CKPT_UNSUPPORTED',
        message: `tensor ${JSON.stringify(tensor.name)} is ${tensor.dtype}, expected whole numbers`,
        remedy: 'Check that the checkpoint belongs to this architecture.',
      });
  }
}

const INTEGERS: readonly DType[] = ['int64', 'int32', 'int16', 'uint8'];
const REAL: readonly DType[] = [...INTEGERS, 'int8', 'bool', 'float64', 'float32', 'float16', 'bfloat16'];

/** Says beforehand what `toFloat32` or `toInt64` would: throws FactError E_CKPT_UNSUPPORTED. */
export function checkCast(tensor: Pick<NamedTensor, 'name' | 'dtype'>, wanted: 'float32' | 'int64'): void {
  if ((wanted === 'int64' ? INTEGERS : REAL).includes(tensor.dtype)) return;
  throw new FactError({
    code: 'E_CKPT_UNSUPPORTED',
    message: `tensor ${JSON.stringify(tensor.name)} is ${tensor.dtype}, expected ${wanted === 'int64' ? 'whole numbers' : 'numbers that become float32'}`,
    remedy: 'Check that the checkpoint belongs to this architecture, and convert it to float32 first.',
  });
}

const FLOATS: readonly DType[] = ['float64', 'float32', 'float16', 'bfloat16'];

/**
 * The tensor with floating-point elements stored in another type, float64 by way of float32; integers and booleans stay
 * as they are. It is cast when its bytes are asked for: throws FactError E_NUMBER_RANGE then, where a finite number would
 * become infinite.
 */
export function castFloats(tensor: NamedTensor, dtype: FloatDType): NamedTensor {
  if (tensor.dtype === dtype || !FLOATS.includes(tensor.dtype)) return tensor;
  return lazyTensor(tensor.name, dtype, tensor.shape, () => castBytes(tensor, dtype), tensor.tie ?? tensor);
}

function castBytes(tensor: NamedTensor, dtype: FloatDType): Uint8Array {
  // Read once: its bytes may come from a file.
  const read: NamedTensor = {
    name: tensor.name,
    dtype: tensor.dtype,
    shape: tensor.shape,
    bytes: tensor.bytes,
  };
  const values = toFloat32(read);
  const bytes =
    dtype === 'float16' ? toFloat16(values) : dtype === 'bfloat16' ? bfloat16Bytes(values) : bytesOf(values);
  const stored = toFloat32({ name: tensor.name, dtype, shape: tensor.shape, bytes });
  const source = tensor.dtype === 'float64' ? new Float64Array(aligned(read.bytes)) : values;
  const at = stored.findIndex((value, i) => !Number.isFinite(value) && Number.isFinite(source[i]));
  if (at >= 0)
    throw new FactError({
      code: 'E_NUMBER_RANGE',
      message: `tensor ${JSON.stringify(tensor.name)} holds ${source[at]}, too large for ${dtype}`,
      remedy:
        dtype === 'float16'
          ? 'Use --dtype bfloat16 or float32.'
          : 'Keep its element type (leave out --dtype).',
    });
  return bytes;
}

function bytesOf(values: Float32Array | Uint16Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

function bfloat16Bytes(values: Float32Array): Uint8Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  return bytesOf(Uint16Array.from(bits, toBFloat16));
}
