import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { bool, float, int, ints, string, type } from '../../../src/engine/tensorflow/binding.js';
import {
  findOfficial,
  type OfficialAddon,
  OfficialBinding,
} from '../../../src/engine/tensorflow/officialBinding.js';
import { otherLibrary } from './otherLibrary.js';

const OTHER = otherLibrary();

const NUMBERS = { TF_ATTR_STRING: 0, TF_ATTR_INT: 1, TF_ATTR_FLOAT: 2, TF_ATTR_BOOL: 3, TF_ATTR_TYPE: 4 };

/** Answers as tfjs-node's addon does; it computes nothing. */
function addon(answer: (name: string, attrs: unknown) => { id: number; shape: number[]; dtype: number }[]) {
  const calls: unknown[] = [];
  const fake: OfficialAddon = {
    TF_Version: '2.9.1',
    ...NUMBERS,
    isUsingGpuDevice: () => true,
    createTensor: (shape, dtype, values) => calls.push(['create', shape, dtype, values]),
    deleteTensor: (id) => calls.push(['delete', id]),
    tensorDataSync: (id) => Float32Array.of(id),
    executeOp: (name, attrs, inputs, outputs) => {
      calls.push([name, attrs, inputs, outputs]);
      return answer(name, attrs);
    },
  };
  return { fake, calls };
}

describe('an official package', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'fact-official-'));
    return () => rmSync(folder, { recursive: true, force: true });
  });
  const search = () => findOfficial(undefined, (name) => (name.endsWith('-node') ? [folder] : []));

  it('that is not installed is passed over without a word', () => {
    expect(findOfficial(undefined, () => [])).toEqual({ addon: null, reason: null });
  });

  it('without its compiled part, or whose compiled part does not load, is passed over with the reason', () => {
    expect(search()).toEqual({
      addon: null,
      reason: '@tensorflow/tfjs-node is installed without its compiled part',
    });
    const lib = join(folder, 'lib', 'napi-v8');
    mkdirSync(lib, { recursive: true });
    writeFileSync(join(lib, 'tfjs_binding.node'), 'not a library');
    expect(search()).toMatchObject({ addon: null, reason: expect.stringContaining('does not load') });
  });

  it.skipIf(OTHER === null)('whose addon is another one is passed over', () => {
    const lib = join(folder, 'lib', 'napi-v8');
    mkdirSync(lib, { recursive: true });
    copyFileSync(OTHER as string, join(lib, 'tfjs_binding.node'));
    expect(search()).toMatchObject({ addon: null, reason: expect.stringContaining("not TensorFlow's") });
  });
});

describe('its addon', () => {
  it('is called with its own numbers of attribute types', () => {
    const { fake, calls } = addon(() => [{ id: 7, shape: [2], dtype: 1 }]);
    const binding = new OfficialBinding(fake, '@tensorflow/tfjs-node');
    expect([binding.version, binding.device, binding.origin]).toEqual([
      '2.9.1',
      'GPU',
      '@tensorflow/tfjs-node',
    ]);
    const attrs = { a: type(1), b: int(2), c: ints([3, 4]), d: float(0.5), e: bool(true), f: string('g') };
    expect(binding.execute('Op', [1, 2], attrs, 1)).toEqual([{ handle: 7, shape: [2], dtype: 1 }]);
    expect(calls).toEqual([
      [
        'Op',
        [
          { name: 'a', type: 4, value: 1 },
          { name: 'b', type: 1, value: 2 },
          { name: 'c', type: 1, value: [3, 4] },
          { name: 'd', type: 2, value: 0.5 },
          { name: 'e', type: 3, value: true },
          { name: 'f', type: 0, value: 'g' },
        ],
        [1, 2],
        1,
      ],
    ]);
    binding.release(7);
    expect(calls.at(-1)).toEqual(['delete', 7]);
    expect(binding.read(3)).toEqual(Float32Array.of(3));
  });

  it('reports a failed operation with TensorFlow’s words, and memory that ran out as such', () => {
    const fails = (status: number) => {
      const { fake } = addon(() => {
        throw new Error(`Invalid TF_Status: ${status}\nMessage: shapes [2] and [3]`);
      });
      return () => new OfficialBinding(fake, '').execute('AddV2', [1, 2], {}, 1);
    };
    expect(fails(3)).toThrow(
      expect.objectContaining({
        code: 'E_ENGINE_OPERATION',
        message: 'engine tensorflow: AddV2: shapes [2] and [3]',
      }),
    );
    expect(fails(8)).toThrow(expect.objectContaining({ code: 'E_MEMORY' }));
  });
});
