import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { afterEach, describe, expect, it } from 'vitest';
import type { NamedTensor } from '../../src/convert/dtypes.js';
import { tensorsOfModel, writeState } from '../../src/convert/modelState.js';
import { nearestArchitecture, recognise } from '../../src/convert/recognise/recognise.js';
import { SIGNATURES } from '../../src/convert/recognise/signatures.js';
import type { BcosModel } from '../../src/models/bcosModel.js';
import { type CreateOptions, createModel } from '../../src/models/createModel.js';
import { listModels } from '../../src/models/registry.js';
import { useEngine } from '../engine.js';
import { goldensFolder } from '../goldens/format.js';

useEngine('cpu');

const TINY: CreateOptions = { numClasses: 3, width: 4, blocks: [1, 1], stem: 'cifar', seed: 5 };
const made: BcosModel[] = [];
function tiny(options: CreateOptions = {}): BcosModel {
  const model = createModel('resnet', { ...TINY, ...options });
  made.push(model);
  return model;
}
afterEach(() => {
  for (const model of made.splice(0)) model.dispose();
});

function renamed(tensors: readonly NamedTensor[], prefix: string): NamedTensor[] {
  return tensors.map((tensor) => ({ ...tensor, name: prefix + tensor.name }));
}

/** The same tensors with other bytes. */
function changed(tensors: readonly NamedTensor[]): NamedTensor[] {
  return tensors.map((tensor) =>
    tensor.dtype === 'float32'
      ? { ...tensor, bytes: tensor.bytes.map((b, i) => (i % 4 === 0 ? b ^ 1 : b)) }
      : tensor,
  );
}

const other: NamedTensor = {
  name: 'optimizer.state.0.exp_avg',
  dtype: 'float32',
  shape: [1],
  bytes: new Uint8Array(4),
};

describe('weights of a checkpoint', () => {
  it.each([
    '',
    'module.',
    'model.',
    'state_dict.',
    'state_dict.model.',
    'net.module.',
    'state_dict._orig_mod.',
  ])('are found under the prefix "%s"', (prefix) => {
    const tensors = tensorsOfModel(tiny());
    const target = tiny({ seed: 6 });
    const file = prefix === '' ? tensors : [other, ...renamed(tensors, prefix)];
    const state = writeState(target, file, {}, 'a.pth');
    expect(state.prefix).toBe(prefix);
    expect(tensorsOfModel(target)).toEqual(tensors);
  });

  it.each(['ema.module.', 'model_ema.', 'state_dict_ema.', 'ema_model.module.', 'params_ema.'])(
    'are those of the running average "%s" only where it is asked for',
    (average) => {
      const plain = tensorsOfModel(tiny());
      const averaged = changed(plain);
      const counter: NamedTensor = { ...other, name: `${average.split('.')[0]}.n_averaged` };
      const file = [...renamed(averaged, average), counter, ...renamed(plain, 'model.')];
      const target = tiny({ seed: 6 });
      expect(writeState(target, file, {}, 'a.pth')).toMatchObject({ prefix: 'model.', isAverage: false });
      expect(tensorsOfModel(target)).toEqual(plain);
      expect(writeState(target, file, { ema: true }, 'a.pth')).toMatchObject({
        prefix: average,
        isAverage: true,
      });
      expect(tensorsOfModel(target)).toEqual(averaged);
    },
  );

  it('are the average where a file holds nothing else', () => {
    const state = writeState(tiny({ seed: 6 }), renamed(tensorsOfModel(tiny()), 'ema.module.'), {}, 'a.pth');
    expect(state.isAverage).toBe(true);
  });

  it('are not guessed where two different copies fit', () => {
    const plain = tensorsOfModel(tiny());
    const file = [...renamed(plain, 'student.'), ...renamed(changed(plain), 'teacher.')];
    expect(() => writeState(tiny(), file, {}, 'a.pth')).toThrowError(
      expect.objectContaining({
        code: 'E_AMBIGUOUS_COPY',
        message: expect.stringContaining('"student.", "teacher."'),
      }),
    );
    const target = tiny({ seed: 6 });
    writeState(target, file, { prefix: 'student.' }, 'a.pth');
    expect(tensorsOfModel(target)).toEqual(plain);
    const twins = [...renamed(plain, 'student.'), ...renamed(plain, 'teacher.')];
    expect(writeState(target, twins, {}, 'a.pth').prefix).toBe('student.');
  });

  it('that are asked for and absent are an error that lists what is there', () => {
    const plain = tensorsOfModel(tiny());
    expect(() => writeState(tiny(), plain, { ema: true }, 'a.pth')).toThrowError(
      expect.objectContaining({ code: 'E_NO_COPY', remedy: expect.stringContaining('(no prefix)') }),
    );
    expect(() => writeState(tiny(), plain, { prefix: 'x.' }, 'a.pth')).toThrowError(
      expect.objectContaining({ code: 'E_NO_COPY' }),
    );
  });

  it('may lack the counters of batch norms, as PyTorch allows', () => {
    const tensors = tensorsOfModel(tiny()).filter(({ name }) => !name.endsWith('num_batches_tracked'));
    expect(writeState(tiny({ seed: 6 }), tensors, {}, 'a.pth').absentCounters).toContain(
      'bn1.num_batches_tracked',
    );
  });

  it('may be float64, and are then reported as rounded', () => {
    const tensors = tensorsOfModel(tiny()).map((tensor): NamedTensor => {
      if (tensor.dtype !== 'float32') return tensor;
      const wide = Float64Array.from(new Float32Array(new Uint8Array(tensor.bytes).buffer));
      return { ...tensor, dtype: 'float64', bytes: new Uint8Array(wide.buffer) };
    });
    expect(writeState(tiny({ seed: 6 }), tensors, {}, 'a.pth').rounded).toContain('conv1.linear.weight');
  });

  it('that do not fit are listed all at once, and the network stays as it was', () => {
    const model = tiny();
    const before = tensorsOfModel(model);
    const tensors = before
      .filter(({ name }) => name !== 'bn1.weight' && name !== 'layer1.0.bn1.running_var')
      .map((t) => (t.name === 'fc.linear.weight' ? { ...t, shape: [3, 8], bytes: t.bytes } : t))
      .concat({ ...other, name: 'layer9.weight' });
    expect(() => writeState(model, tensors, {}, 'a.pth')).toThrowError(
      expect.objectContaining({
        code: 'E_SHAPE_MISMATCH',
        message:
          'a.pth: the tensors do not fit resnet: 1 misshapen: "fc.linear.weight" has shape [3,8], expected [3,8,1,1]; ' +
          '2 missing: "bn1.weight", "layer1.0.bn1.running_var"; 1 left over: "layer9.weight"',
      }),
    );
    expect(tensorsOfModel(model)).toEqual(before);
  });

  it('leave no tensors behind', () => {
    const model = tiny();
    const tensors = tensorsOfModel(model);
    writeState(model, tensors, {}, 'a.pth');
    const before = tf.memory().numTensors;
    for (let i = 0; i < 20; i++) writeState(model, tensors, {}, 'a.pth');
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('recognition by names and shapes', () => {
  /** Tensors without content: recognition looks at names and shapes only. */
  const shell = (rows: readonly (readonly [string, number[]])[]): NamedTensor[] =>
    rows.map(([name, shape]) => ({ name, dtype: 'float32', shape, bytes: new Uint8Array(0) }));

  const goldens = goldensFolder();
  it.skipIf(goldens === null)(
    'finds every network of the reference among its look-alikes (needs the goldens)',
    () => {
      const manifest = JSON.parse(readFileSync(join(goldens ?? '', 'bcos', 'manifest.json'), 'utf8'));
      const known = new Set(listModels().map((entry) => entry.name));
      let count = 0;
      for (const entry of manifest.entries) {
        if (!known.has(entry.name)) continue;
        const found = recognise(shell(manifest.stateDicts[entry.stateDict]));
        expect([found?.arch, ...(found?.alike ?? [])], entry.name).toContain(entry.name);
        count++;
      }
      expect(count).toBe(manifest.entries.length);
    },
  );

  it('has a signature of every network of the registry (else: npx tsx scripts/signatures.ts)', () => {
    const signed = new Set(SIGNATURES.flatMap(({ archs }) => archs.map(([name]) => name)));
    const missing = listModels().filter(({ name, general }) => !general && !signed.has(name));
    expect(missing.map(({ name }) => name)).toEqual([]);
    const stale = [...signed].filter((name) => !listModels().some((entry) => entry.name === name));
    expect(stale).toEqual([]);
  });

  it('names the nearest network where names and shapes are those of none', () => {
    const model = createModel('cifar10_resnet_32', { weights: 'zero' });
    const tensors = tensorsOfModel(model).filter(({ name }) => name !== 'layer2.1.conv1.linear.weight');
    expect(recognise(tensors)).toBe(null);
    expect(nearestArchitecture(tensors)?.arch).toBe('cifar10_resnet_32');
    model.dispose();
  });

  it('tells a different number of classes', () => {
    const model = tiny({ numClasses: 7 });
    expect(recognise(tensorsOfModel(model))).toMatchObject({
      arch: 'resnet',
      options: { numClasses: 7, width: 4, blocks: [1, 1], norm: 'bnu', normParameters: 'linear' },
    });
  });

  const GENERAL: CreateOptions[] = [
    { block: 'bottleneck', groups: 2, groupWidth: 32, width: 64, maxOut: 2 },
    { norm: 'identity', maxOut: 3, width: 5 },
    { normParameters: 'affine', stem: 'imagenet', blocks: [2, 1, 1] },
  ];
  it.each(GENERAL)('reads the options %j of the general ResNet', (options) => {
    expect(recognise(tensorsOfModel(tiny(options)))?.options).toMatchObject(options);
  });

  it('prefers plain weights to the average, and reads through prefixes', () => {
    const tensors = tensorsOfModel(tiny());
    expect(recognise([...renamed(tensors, 'ema.'), ...renamed(tensors, 'model.')])?.arch).toBe('resnet');
  });

  it('knows nothing about other networks', () => {
    expect(recognise(shell([['conv1.weight', [64, 3, 7, 7]]]))).toBeNull();
    expect(recognise([])).toBeNull();
  });

  it('does not let a small file of empty tensors ask for a large network', () => {
    const huge = shell([
      ['conv1.linear.weight', [2 ** 30, 6, 0, 7]],
      ['layer1.0.conv1.linear.weight', [0, 2 ** 30, 3, 3]],
      ['layer1.0.conv2.linear.weight', [0, 2 ** 30, 3, 3]],
      ['fc.linear.weight', [10, 2 ** 30, 1, 0]],
    ]);
    expect(recognise(huge)).toBeNull();
  });
});
