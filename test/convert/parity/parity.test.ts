import { describe, expect, it } from 'vitest';
import type { NamedTensor } from '../../../src/convert/dtypes.js';
import { compareTensors } from '../../../src/convert/parity/parity.js';

const tensor = (name: string, values: readonly number[]): NamedTensor => ({
  name,
  dtype: 'float32',
  shape: [values.length],
  bytes: new Uint8Array(Float32Array.from(values).buffer),
});

describe('comparing what was written', () => {
  const source = [tensor('a', [1, 2]), tensor('b', [3])];

  it('counts identical tensors', () => {
    expect(compareTensors('out.pth', source, source, undefined)).toMatchObject({ tensors: 2, identical: 2 });
  });

  it.each([
    ['is missing', [source[0]]],
    ['has another shape', [source[0], tensor('b', [3, 3])]],
    ['differs', [source[0], tensor('b', [3.0001])]],
  ])('fails where a tensor %s', (_what, written) => {
    expect(() => compareTensors('out.pth', source, written, undefined)).toThrowError(
      expect.objectContaining({ code: 'E_PARITY', message: expect.stringContaining('"b"') }),
    );
  });

  it('allows what the rounding of the type explains, and no more', () => {
    expect(
      compareTensors('out.pth', source, [source[0], tensor('b', [3.001])], 'float16').worst,
    ).toMatchObject({ name: 'b' });
    expect(() => compareTensors('out.pth', source, [source[0], tensor('b', [3.1])], 'float16')).toThrowError(
      expect.objectContaining({ code: 'E_PARITY' }),
    );
  });
});
