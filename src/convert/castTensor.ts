import { FactError } from '../core/errors.js';
import { countOf, type DType, dtypeFacts, type NamedTensor } from './dtypes.js';

/** Element types that weights can be stored in. */
export type FloatDType = 'float32' | 'float16' | 'bfloat16';

/** A copy of bytes at the start of its own buffer, so that any typed array can be laid over it. */
function aligned(bytes: Uint8Array, width: number): ArrayBuffer | SharedArrayBuffer {
  if (
    bytes.byteOffset % width === 0 &&
    bytes.byteOffset === 0 &&
    bytes.byteLength === bytes.buffer.byteLength
  )
    return bytes.buffer;
  return bytes.slice().buffer;
}

/** Value of IEEE half-precision bits. */
export function fromFloat16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Nearest half-precision number, ties to even, as bits; infinity from 65520 on. */
export function toFloat16(value: number): number {
  if (Number.isNaN(value)) return 0x7e00;
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (size >= 65520) return sign | 0x7c00;
  // Exponent of the last place: 2^-24 for subnormal numbers.
  const exponent = size < 2 ** -14 ? -14 : exponentOf(size);
  const steps = roundHalfEven(size / 2 ** (exponent - 10));
  return sign | (steps < 1024 ? steps : (((exponent + 15) << 10) + (steps - 1024)) & 0xffff);
}

function exponentOf(size: number): number {
  let exponent = Math.floor(Math.log2(size));
  if (2 ** exponent > size) exponent--;
  else if (2 ** (exponent + 1) <= size) exponent++;
  return exponent;
}

function roundHalfEven(value: number): number {
  const low = Math.floor(value);
  const rest = value - low;
  return rest > 0.5 || (rest === 0.5 && low % 2 === 1) ? low + 1 : low;
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
  const count = countOf(tensor.shape);
  const buffer = aligned(tensor.bytes, 8);
  switch (tensor.dtype) {
    case 'float32':
      return new Float32Array(buffer.slice(0), 0, count);
    case 'float64':
      return Float32Array.from(new Float64Array(buffer));
    case 'float16':
      return Float32Array.from(new Uint16Array(buffer), fromFloat16);
    case 'bfloat16': {
      const out = new Uint32Array(count);
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
  const buffer = aligned(tensor.bytes, 8);
  switch (tensor.dtype) {
    case 'int64':
      return new BigInt64Array(buffer.slice(0));
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

const FLOATS: readonly DType[] = ['float64', 'float32', 'float16', 'bfloat16'];

/**
 * The tensor with floating-point elements stored in another type; integers and booleans stay as they are.
 * Throws FactError E_NUMBER_RANGE where a finite number would become infinite.
 */
export function castFloats(tensor: NamedTensor, dtype: FloatDType): NamedTensor {
  if (tensor.dtype === dtype || !FLOATS.includes(tensor.dtype)) return tensor;
  const values = tensor.dtype === 'float64' ? new Float64Array(aligned(tensor.bytes, 8)) : toFloat32(tensor);
  const width = dtypeFacts(dtype).bits / 8;
  const bytes = new Uint8Array(values.length * width);
  const view = new DataView(bytes.buffer);
  values.forEach((value, i) => {
    let stored: number;
    if (dtype === 'float32') {
      view.setFloat32(4 * i, value, true);
      stored = view.getFloat32(4 * i, true);
    } else if (dtype === 'float16') {
      const bits = toFloat16(value);
      view.setUint16(2 * i, bits, true);
      stored = fromFloat16(bits);
    } else {
      view.setFloat32(0, value, true);
      const bits = toBFloat16(view.getUint32(0, true));
      view.setUint16(2 * i, bits, true);
      stored = (bits & 0x7fff) === 0x7f80 ? Number.POSITIVE_INFINITY : 0;
    }
    if (!Number.isFinite(stored) && Number.isFinite(value))
      throw new FactError({
        code: 'E_NUMBER_RANGE',
        message: `tensor ${JSON.stringify(tensor.name)} holds ${value}, too large for ${dtype}`,
        remedy: dtype === 'float16' ? 'Use --dtype bfloat16 or float32.' : 'Use --dtype float32.',
      });
  });
  return { name: tensor.name, dtype, shape: tensor.shape, bytes };
}
