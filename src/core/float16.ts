const floatView = new Float32Array(1);
const bitsView = new Uint32Array(floatView.buffer);

/** Bits of the IEEE 754 half nearest to a number (ties to even); beyond 65519.99 infinity, NaN stays NaN. */
function halfBits(value: number): number {
  floatView[0] = value;
  const bits = bitsView[0];
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude < 0x33000001) return sign;
  const exponent = (magnitude >>> 23) - 112;
  const mantissa = (magnitude & 0x7fffff) | 0x800000;
  // A normal half drops 13 bits of the mantissa; a subnormal one more for each step of the exponent below 1.
  const dropped = exponent > 0 ? 13 : 14 - exponent;
  const base = exponent > 0 ? exponent << 10 : 0;
  const kept = (exponent > 0 ? mantissa & 0x7fffff : mantissa) >>> dropped;
  const rest = mantissa & ((1 << dropped) - 1);
  const half = 1 << (dropped - 1);
  const roundUp = rest > half || (rest === half && (kept & 1) === 1);
  return sign | (base + kept + (roundUp ? 1 : 0));
}

/** Little-endian float16 of float32 values, rounded to nearest, ties to even. */
export function toFloat16(values: ArrayLike<number>): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(values.length * 2);
  for (let i = 0; i < values.length; i++) {
    const bits = halfBits(values[i]);
    bytes[2 * i] = bits & 0xff;
    bytes[2 * i + 1] = bits >>> 8;
  }
  return bytes;
}

/** The number that 16 bits stand for. */
function halfValue(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 0x1f;
  const mantissa = bits & 0x3ff;
  if (exponent === 0x1f) return mantissa === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  return sign * (mantissa + 1024) * 2 ** (exponent - 25);
}

/** All 65,536 of them, made at first use: a network has millions of weights. */
let halfValues: Float32Array | undefined;

/** The numbers that all 16-bit patterns stand for; not to be written to. */
export function float16Values(): Float32Array {
  halfValues ??= Float32Array.from({ length: 65536 }, (_, bits) => halfValue(bits));
  return halfValues;
}

/** Float32 values of little-endian float16 bytes: exact. */
export function fromFloat16(bytes: Uint8Array): Float32Array<ArrayBuffer> {
  const table = float16Values();
  const values = new Float32Array(bytes.length >> 1);
  for (let i = 0; i < values.length; i++) values[i] = table[bytes[2 * i] | (bytes[2 * i + 1] << 8)];
  return values;
}
