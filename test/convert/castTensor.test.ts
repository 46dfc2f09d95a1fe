import { describe, expect, it } from 'vitest';
import { castFloats, toFloat32, toInt64 } from '../../src/convert/castTensor.js';
import type { DType, NamedTensor } from '../../src/convert/dtypes.js';

function tensorOf(dtype: DType, values: ArrayBufferView, count: number): NamedTensor {
  // One byte of offset: files give no alignment.
  const shifted = new Uint8Array(values.byteLength + 1);
  shifted.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), 1);
  return { name: 'w', dtype, shape: [count], bytes: shifted.subarray(1) };
}

const floats = (...values: number[]): NamedTensor =>
  tensorOf('float32', Float32Array.from(values), values.length);

describe('casts of tensors', () => {
  it('give float32 of each element type', () => {
    expect([...toFloat32(tensorOf('float64', Float64Array.of(0.1, -2), 2))]).toEqual([Math.fround(0.1), -2]);
    expect([...toFloat32(tensorOf('float16', Uint16Array.of(0x3c00, 0x8001, 0x7bff), 3))]).toEqual([
      1,
      -(2 ** -24),
      65504,
    ]);
    expect([...toFloat32(tensorOf('bfloat16', Uint16Array.of(0x3f80, 0xc049), 2))]).toEqual([1, -3.140625]);
    expect([...toFloat32(tensorOf('int64', BigInt64Array.of(-5n, 7n), 2))]).toEqual([-5, 7]);
    expect([...toFloat32(tensorOf('bool', Uint8Array.of(1, 0), 2))]).toEqual([1, 0]);
  });

  it('keep signed zeros, infinities and subnormal numbers of float32', () => {
    const values = [-0, Number.POSITIVE_INFINITY, 1e-45, Number.NEGATIVE_INFINITY];
    expect([...toFloat32(floats(...values))]).toEqual(values.map(Math.fround));
  });

  it('round to bfloat16 to the nearest, ties to even', () => {
    const back = toFloat32(
      castFloats(floats(1 + 2 ** -8, 1 + 3 * 2 ** -8, 1 + 2 ** -8 + 2 ** -20, Number.NaN), 'bfloat16'),
    );
    expect([...back]).toEqual([1, 1 + 2 ** -6, 1 + 2 ** -7, Number.NaN]);
  });

  it('round to float16 to the nearest', () => {
    expect([...toFloat32(castFloats(floats(1 / 3, 2 ** -24), 'float16'))]).toEqual([
      0.333251953125,
      2 ** -24,
    ]);
  });

  it('leave integers and booleans as they are', () => {
    const counter = tensorOf('int64', BigInt64Array.of(3n), 1);
    expect(castFloats(counter, 'float16')).toBe(counter);
  });

  it.each([
    ['float16', 65520, 'bfloat16'],
    ['bfloat16', 3.4e38, 'leave out --dtype'],
  ] as const)('refuse a number that %s cannot hold', (dtype, value, remedy) => {
    expect(() => castFloats(floats(1, value), dtype).bytes).toThrowError(
      expect.objectContaining({ code: 'E_NUMBER_RANGE', remedy: expect.stringContaining(remedy) }),
    );
  });

  it('refuse a float64 beyond float32', () => {
    expect(() => castFloats(tensorOf('float64', Float64Array.of(1e300), 1), 'float32').bytes).toThrowError(
      /too large/,
    );
  });

  it('let infinities through', () => {
    expect(toFloat32(castFloats(floats(Number.POSITIVE_INFINITY), 'float16'))[0]).toBe(
      Number.POSITIVE_INFINITY,
    );
  });

  it('refuse to guess numbers of 8-bit floats', () => {
    const tensor = tensorOf('float8_e4m3fn', new Uint8Array(1), 1);
    expect(() => toFloat32(tensor)).toThrowError(expect.objectContaining({ code: 'E_CKPT_UNSUPPORTED' }));
    expect(() => toInt64(tensor)).toThrowError(expect.objectContaining({ code: 'E_CKPT_UNSUPPORTED' }));
  });
});
