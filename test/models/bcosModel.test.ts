import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { afterEach, describe, expect, it } from 'vitest';
import type { BcosModel } from '../../src/models/bcosModel.js';
import { type CreateOptions, createModel } from '../../src/models/createModel.js';
import { loadModel } from '../../src/models/loadModel.js';
import { withNewHead } from '../../src/models/newHead.js';
import { tensorGrowth, useEngine } from '../engine.js';
import { innerProduct, randomTensor } from '../layers/numbers.js';

useEngine();

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const fn of cleanups.splice(0)) fn();
});

const SMALL: CreateOptions = {
  numClasses: 5,
  width: 4,
  blocks: [1, 1, 1],
  stem: 'small',
  inputSize: 32,
  seed: 3,
};

function small(options: CreateOptions = {}): BcosModel {
  const model = createModel('resnet', { ...SMALL, ...options });
  cleanups.push(() => model.dispose());
  return model;
}

async function load(folder: string): Promise<BcosModel> {
  const model = await loadModel(folder);
  cleanups.push(() => model.dispose());
  return model;
}

function temporary(): string {
  const folder = mkdtempSync(join(tmpdir(), 'fact-model-'));
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'net');
}

/** Images in [0, 1]. Caller disposes. */
function images(count = 2, height = 32, width = 32): tf.Tensor {
  return tf.tidy(() => tf.sigmoid(randomTensor([count, height, width, 3], 9)));
}

function logits(model: BcosModel): Float32Array {
  return tf.tidy(() => (model.network.apply(images()) as tf.Tensor).dataSync() as Float32Array);
}

describe('a network', () => {
  it('is the composition of its parts at every tap, for any image size', () => {
    const model = small();
    tf.tidy(() => {
      const x = images(2, 40, 24);
      const whole = (model.network.apply(x) as tf.Tensor).dataSync();
      for (const tap of model.stageNames.slice(0, -1)) {
        const { lower, upper } = model.splitAt(tap);
        const y = upper.apply(lower.apply(x) as tf.Tensor) as tf.Tensor;
        expect(y.dataSync(), tap).toEqual(whole);
      }
      expect(model.spec.taps).toEqual(['layer1', 'layer2', 'layer3']);
    });
  });

  it('explains every logit completely: <tap, gradient> = logit at all taps', () => {
    // Without the bias: beside it, float32 would lose digits of the small scores of a fresh network.
    const model = small({ logitBias: null });
    tf.tidy(() => {
      const x = images(1);
      const score = (model.network.apply(x) as tf.Tensor2D).arraySync()[0][2];
      for (const tap of model.stageNames.slice(0, -1)) {
        const { lower, upper } = model.splitAt(tap);
        const value = lower.apply(x) as tf.Tensor;
        const gradient = tf.grad((v: tf.Tensor) =>
          tf.sum(tf.slice(upper.apply(v, { explain: true }) as tf.Tensor, [0, 2], [1, 1])),
        )(value);
        const terms = tf.sum(tf.abs(tf.mul(value, gradient))).dataSync()[0];
        expect(Math.abs(innerProduct(value, gradient) - score) / terms, tap).toBeLessThan(1e-5);
      }
    });
  });

  it('starts with the logit bias -ln(classes - 1)', () => {
    expect(small().spec.logitBias).toBeCloseTo(-Math.log(4), 12);
  });

  it('names the known taps when asked for another, and refuses an empty part', () => {
    const model = small();
    expect(() => model.splitAt('layer4')).toThrow(expect.objectContaining({ code: 'E_TAP_UNKNOWN' }));
    expect(() => model.segment('layer2', 'layer1')).toThrow(expect.objectContaining({ code: 'E_TAP_ORDER' }));
  });

  it('has the same weights for the same seed, others for another', () => {
    const [a, b, c] = [small(), small(), small({ seed: 4 })];
    expect(a.stateDict()[0].read()).toEqual(b.stateDict()[0].read());
    expect(a.stateDict()[0].read()).not.toEqual(c.stateDict()[0].read());
    const w = a
      .stateDict()
      .find((e) => e.name === 'layer3.0.conv2.linear.weight')
      ?.read() as Float32Array;
    const deviation = Math.sqrt(w.reduce((s, v) => s + v * v, 0) / w.length);
    expect(deviation).toBeCloseTo(Math.sqrt(2 / (16 * 9)), 2);
  });

  it('reads and writes its state dict in PyTorch layout', () => {
    const model = small();
    const entry = model.stateDict()[0];
    expect([entry.name, entry.shape]).toEqual(['conv1.linear.weight', [4, 6, 3, 3]]);
    const values = (entry.read() as Float32Array).map((_, i) => i / 7);
    entry.write(values);
    expect(entry.read()).toEqual(values);
    expect(() => entry.write(new Float32Array(3))).toThrow(
      expect.objectContaining({ code: 'E_STATE_VALUE' }),
    );
    const counter = model.stateDict().find((e) => e.dtype === 'int64');
    counter?.write(BigInt64Array.of(12n));
    expect(counter?.read()).toEqual(BigInt64Array.of(12n));
    expect(() => counter?.write(BigInt64Array.of(2n ** 40n))).toThrow(
      expect.objectContaining({ code: 'E_STATE_VALUE' }),
    );
  });

  it('counts the same parameters when its layers are frozen', () => {
    const model = small();
    const count = model.countParameters();
    model.network.trainable = false;
    expect(model.countParameters()).toBe(count);
    expect(model.network.trainableWeights).toEqual([]);
  });

  it('gives the weights of single stages, in order', () => {
    const names = small()
      .stateDict(['conv1', 'fc'])
      .map((entry) => entry.name);
    expect(names).toEqual(['conv1.linear.weight', 'fc.linear.weight']);
  });

  it('frees everything it made', async () => {
    const growth = await tensorGrowth(() => {
      const model = createModel('resnet', SMALL);
      model.splitAt('layer2');
      logits(model);
      model.dispose();
    });
    expect(growth).toBe(0);
  });

  it.each([
    ['numclasses', { numclasses: 3 } as CreateOptions, 'numClasses'],
    ['blocks', { blocks: [] }, 'blocks'],
    ['norm', { norm: 'bnx' as 'bn' }, 'norm'],
    ['classNames', { classNames: ['a'] }, 'class names'],
  ])('refuses the wrong option %s', (_, options, text) => {
    expect(() => createModel('resnet', { ...SMALL, ...options })).toThrow(
      expect.objectContaining({ code: 'E_MODEL_OPTION', message: expect.stringContaining(text) }),
    );
  });

  it('names the nearest known architecture', () => {
    expect(() => createModel('resnet19')).toThrow(
      expect.objectContaining({ code: 'E_MODEL_UNKNOWN', message: expect.stringContaining('"resnet1') }),
    );
  });
});

describe('a saved network', () => {
  it('comes back with equal weights, logits and spec, bit for bit', async () => {
    const model = small({
      classNames: ['a', 'b', 'c', 'd', 'e'],
      norm: 'bnu',
      temperature: 2,
      b: 1.5,
      maxOut: 2,
    });
    model.describe({ source: 'a test' });
    tf.tidy(() => {
      model.network.apply(images(), { training: true });
    });
    const folder = temporary();
    await model.save(folder);
    const copy = await load(folder);
    expect(copy.spec).toEqual(model.spec);
    expect(logits(copy)).toEqual(logits(model));
    for (const [i, entry] of model.stateDict().entries())
      expect(copy.stateDict()[i].read()).toEqual(entry.read());
  });

  it('takes about half the space as float16, with nearly the same logits', async () => {
    const model = small();
    const [full, half] = [temporary(), temporary()];
    await model.save(full);
    await model.save(half, { dtype: 'float16' });
    const size = (folder: string): number => statSync(join(folder, 'weights.bin')).size;
    expect(size(half)).toBeLessThan(0.6 * size(full));
    expect(logits(await load(half))).toBeNormwiseClose(logits(model), 2e-3);
  });

  it.each(['float32', 'float16'] as const)('loads in plain tfjs (%s)', async (dtype) => {
    const model = small();
    const folder = temporary();
    await model.save(folder, { dtype });
    const json = JSON.parse(readFileSync(join(folder, 'model.json'), 'utf8'));
    const weights = readFileSync(join(folder, 'weights.bin'));
    const plain = await tf.loadLayersModel(
      tf.io.fromMemory({
        modelTopology: json.modelTopology,
        weightSpecs: json.weightsManifest[0].weights,
        weightData: weights.buffer.slice(
          weights.byteOffset,
          weights.byteOffset + weights.length,
        ) as ArrayBuffer,
      }),
    );
    const reference = await load(folder);
    tf.tidy(() => {
      expect((plain.apply(images()) as tf.Tensor).dataSync()).toEqual(logits(reference));
    });
    plain.dispose();
  });

  it('is refused when its weights were changed', async () => {
    const folder = temporary();
    await small().save(folder);
    const path = join(folder, 'weights.bin');
    const bytes = readFileSync(path);
    bytes[10] ^= 1;
    writeFileSync(path, bytes);
    await expect(loadModel(folder)).rejects.toMatchObject({ code: 'E_MODEL_CORRUPT' });
  });

  it.each([
    ['fact.json', '{'],
    ['fact.json', '{"format":"fact-model"}'],
    ['model.json', '{"weightsManifest":[]}'],
  ])('is refused when %s holds %s', async (file, text) => {
    const folder = temporary();
    await small().save(folder);
    writeFileSync(join(folder, file), text);
    await expect(loadModel(folder)).rejects.toMatchObject({
      code: 'E_MODEL_CORRUPT',
      message: expect.stringContaining(file),
    });
  });

  it('is refused when a weight is named otherwise, and leaves no tensors', async () => {
    const folder = temporary();
    await small().save(folder);
    const path = join(folder, 'model.json');
    writeFileSync(path, readFileSync(path, 'utf8').replaceAll('conv1/linear.weight', 'conv9/linear.weight'));
    const growth = await tensorGrowth(() =>
      expect(loadModel(folder)).rejects.toMatchObject({ code: 'E_MODEL_CORRUPT' }),
    );
    expect(growth).toBe(0);
  });

  it('that does not exist is an error that names the file', async () => {
    await expect(loadModel(temporary())).rejects.toMatchObject({
      code: 'E_MODEL_MISSING',
      message: expect.stringContaining('fact.json'),
    });
  });

  it('replaces an old one as a whole', async () => {
    const folder = temporary();
    await small().save(folder);
    writeFileSync(join(folder, 'old.txt'), 'old');
    await small({ seed: 8 }).save(folder);
    expect(existsSync(join(folder, 'old.txt'))).toBe(false);
  });
});

describe('a new head', () => {
  it('keeps the body, changes the classifier and the logit bias, and leaves the source as it is', () => {
    const model = small();
    const before = logits(model);
    const next = withNewHead(model, 3, { seed: 11, classNames: ['x', 'y', 'z'] });
    cleanups.push(() => next.dispose());
    expect(next.spec.logitBias).toBeCloseTo(-Math.log(2), 12);
    const wanted = new Map(model.stateDict().map((e) => [e.name, e.read()]));
    for (const entry of next.stateDict()) {
      if (entry.name.startsWith('fc.')) expect(entry.shape[0]).toBe(3);
      else expect(entry.read(), entry.name).toEqual(wanted.get(entry.name));
    }
    const first = next.stateDict()[0];
    first.write(new Float32Array(first.variable.size).fill(1));
    expect(logits(model)).toEqual(before);
  });
});
