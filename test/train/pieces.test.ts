import { readdirSync, readFileSync, writeFileSync as writeBytes } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { afterAll, describe, expect, it } from 'vitest';
import type { Batch } from '../../src/data/batchLoader.js';
import { createModel } from '../../src/models/createModel.js';
import { countCorrect } from '../../src/train/accuracy.js';
import { readCheckpointFile, writeCheckpointFile } from '../../src/train/checkpoint/format.js';
import { clipAdaptive, globalClipFactor, globalNorm } from '../../src/train/clipping.js';
import type { OptimizerConfig } from '../../src/train/config/schema.js';
import { decayAt } from '../../src/train/ema.js';
import { Evaluator } from '../../src/train/evaluate.js';
import { lossFunction } from '../../src/train/losses/losses.js';
import { mixBatch, oneHot } from '../../src/train/mixing.js';
import { createOptimizer } from '../../src/train/optimizers/index.js';
import { crc32c, EventWriter } from '../../src/train/run/events.js';
import { RunLogs } from '../../src/train/run/logs.js';
import { learningRate } from '../../src/train/schedules.js';
import { isBelow, namedWeights } from '../../src/train/weights.js';
import { tensorGrowth, useEngine } from '../engine.js';
import { scratchFolder } from './tinyRun.js';

useEngine();
const scratch = scratchFolder();
afterAll(() => scratch.remove());

describe('binary cross-entropy', () => {
  const loss = lossFunction({ name: 'bce', smoothing: 0, targetThreshold: null });

  it('stays finite, value and gradient, for logits of any size', async () => {
    const logits = tf.tensor2d([[-1e30, -100, 0, 100, 1e30]]);
    const targets = tf.tensor2d([[0, 1, 0.5, 0, 1]]);
    const { value, grad } = tf.valueAndGrad((z) => loss(z as tf.Tensor2D, targets).sum())(logits);
    expect((await value.data())[0]).toBeCloseTo(200 + Math.log(2), 3);
    expect([...(await grad.data())]).toEqual([0, -1, 0, 1, 0]);
  });

  it('has the gradient that finite differences give', async () => {
    const options = { name: 'bce', smoothing: 0.1, targetThreshold: null } as const;
    const [z, t] = [
      [0.3, -1.2, 2.5, 0],
      [1, 0, 0.25, 0],
    ];
    const exact = (values: readonly number[]): number =>
      values.reduce((sum, v, i) => {
        const target = t[i] * 0.9 + 0.1 / 4;
        return sum + Math.max(v, 0) - v * target + Math.log1p(Math.exp(-Math.abs(v)));
      }, 0);
    const h = 1e-6;
    const expected = z.map((_, i) => {
      const at = (d: number): number => exact(z.map((v, j) => (i === j ? v + d : v)));
      return (at(h) - at(-h)) / (2 * h);
    });
    const gradient = tf.grad((x) => lossFunction(options)(x as tf.Tensor2D, tf.tensor2d([t])).sum())(
      tf.tensor2d([z]),
    );
    expect(await gradient.data()).toBeNormwiseClose(expected, 1e-5);
  });

  it('leaves no tensors behind', async () => {
    const [z, t] = [tf.randomNormal([4, 3]) as tf.Tensor2D, tf.zeros([4, 3]) as tf.Tensor2D];
    const growth = await tensorGrowth(() => {
      for (let i = 0; i < 100; i++) tf.dispose(tf.valueAndGrad((x) => loss(x as tf.Tensor2D, t).mean())(z));
    });
    expect(growth).toBe(0);
  });
});

describe('clipping', () => {
  it('leaves small gradients as they are and bounds large ones, also those of zero weights', async () => {
    const weight = tf.tensor2d([
      [3, 0],
      [4, 0],
    ]); // columns are units
    const gradient = tf.tensor2d([
      [1, 1],
      [0, 0],
    ]);
    const clipped = await clipAdaptive(weight, gradient, [0], 0.1).data();
    expect([...clipped]).toEqual([0.5, expect.closeTo(1e-4, 8), 0, 0]);
    expect([...(await clipAdaptive(weight, tf.zeros([2, 2]), [0], 0.1).data())]).toEqual([0, 0, 0, 0]);
  });

  it('by the global norm scales all gradients alike', async () => {
    const norm = globalNorm([tf.tensor1d([3]), tf.tensor1d([4])]);
    expect((await globalClipFactor(norm, 1).data())[0]).toBeCloseTo(0.2, 6);
    expect((await globalClipFactor(norm, 10).data())[0]).toBe(1);
  });
});

describe('optimisers', () => {
  const rate = 0.1;
  /** Two steps from weight 1 with gradients 0.5 and -0.25, worked out in plain numbers. */
  const cases: readonly [OptimizerConfig, () => number][] = [
    [
      { name: 'sgd', rate, momentum: 0.9, nesterov: true, weightDecay: 0.01 },
      () => {
        let [w, m] = [1, 0];
        for (const g0 of [0.5, -0.25]) {
          const g = g0 + 0.01 * w;
          m = 0.9 * m + g;
          w -= rate * (g + 0.9 * m);
        }
        return w;
      },
    ],
    [
      { name: 'adam', rate, betas: [0.8, 0.9], epsilon: 1e-3, weightDecay: 0.1 },
      () => {
        let [w, m, v] = [1, 0, 0];
        [0.5, -0.25].forEach((g0, i) => {
          const g = g0 + 0.1 * w;
          m = 0.8 * m + 0.2 * g;
          v = 0.9 * v + 0.1 * g * g;
          const [c1, c2] = [1 - 0.8 ** (i + 1), 1 - 0.9 ** (i + 1)];
          w -= ((rate / c1) * m) / (Math.sqrt(v) / Math.sqrt(c2) + 1e-3);
        });
        return w;
      },
    ],
    [
      { name: 'rmsprop', rate, alpha: 0.7, epsilon: 0.01, momentum: 0, weightDecay: 0.2 },
      () => {
        let [w, s] = [1, 0];
        for (const g0 of [0.5, -0.25]) {
          const g = g0 + 0.2 * w;
          s = 0.7 * s + 0.3 * g * g;
          w -= (rate * g) / (Math.sqrt(s) + 0.01);
        }
        return w;
      },
    ],
  ];
  for (const [config, expected] of cases) {
    it(`${config.name} with every option follows its formula`, async () => {
      const optimizer = createOptimizer(config);
      let weight: tf.Tensor = tf.tensor1d([1]);
      let slots: Readonly<Record<string, tf.Tensor>> = Object.fromEntries(
        optimizer.slotNames.map((name) => [name, tf.zeros([1])]),
      );
      [0.5, -0.25].forEach((g, i) => {
        const scalars = optimizer.scalars(i + 1).map((value) => tf.scalar(value));
        ({ weight, slots } = optimizer.step({
          weight,
          slots,
          gradient: tf.tensor1d([g]),
          rate: tf.scalar(rate),
          scalars,
        }));
      });
      expect((await weight.data())[0]).toBeCloseTo(expected(), 5);
    });
  }
});

describe('the moving average', () => {
  it('is a copy up to the first update after the warm-up, and untouched between updates', () => {
    const decays = Array.from({ length: 9 }, (_, batch) => decayAt(batch, 2, 3, 0.9));
    expect(decays).toEqual([0, 1, 0, 1, 0, 1, 0.9, 1, 0.9]);
    expect([0, 1, 2].map((batch) => decayAt(batch, 1, 0, 0.9))).toEqual([0, 0.9, 0.9]);
  });
});

describe('the learning rate', () => {
  it('falls to its minimum along a cosine after half an epoch of warm-up', () => {
    const warmup = { epochs: 0.5, steps: null, method: 'linear', start: 0 } as const;
    const config = { name: 'cosine', interval: 'step', warmup, minimum: 0, stepSize: 1, gamma: 1 } as const;
    const rate = learningRate(config, 1, { epochs: 2, updatesPerEpoch: 4 });
    expect([0, 1, 2].map(rate)).toEqual([0, 0.5, 1]);
    expect(rate(5)).toBeCloseTo(0.5, 12);
    expect(rate(8)).toBeCloseTo(0, 12);
  });
});

describe('mixing', () => {
  it('depends on (seed, epoch, batch) only, keeps sums of targets, and images in [0, 1]', () => {
    const make = (batch: number) => {
      const images = Float32Array.from({ length: 3 * 4 * 4 * 3 }, (_, i) => (i % 7) / 7);
      const targets = oneHot([0, 1, 2], 4);
      mixBatch(images, [3, 4, 4, 3], targets, { mixup: 0.2, cutmix: 1 }, [1, 2, batch]);
      return { images, targets };
    };
    expect(make(5)).toEqual(make(5));
    expect(make(5)).not.toEqual(make(6));
    for (let batch = 0; batch < 20; batch++) {
      const { images, targets } = make(batch);
      for (let i = 0; i < 3; i++) {
        const sum = targets.subarray(4 * i, 4 * i + 4).reduce((s, v) => s + v, 0);
        expect(sum).toBeCloseTo(1, 6);
      }
      expect(images.every((v) => v >= 0 && v <= 1)).toBe(true);
    }
  });
});

describe('accuracy', () => {
  it('counts ties for the first class and NaN never', () => {
    expect(countCorrect([1, 1, 0], [0], 3)).toBe(1);
    expect(countCorrect([1, 1, 0], [1], 3)).toBe(0);
    expect(countCorrect([1, 1, 0], [1], 3, 2)).toBe(1);
    expect(countCorrect([Number.NaN, 0, 0], [0], 3, 5)).toBe(0);
  });

  it('over a last batch that is not full equals that over single images', async () => {
    const model = createModel('resnet', { blocks: [1], width: 4, stem: 'cifar', numClasses: 3 });
    const evaluator = new Evaluator(model.network, lossFunction({ name: 'crossEntropy', smoothing: 0 }), 3);
    const pixels = Float32Array.from({ length: 5 * 8 * 8 * 3 }, (_, i) => ((i * 37) % 101) / 101);
    async function* batches(size: number): AsyncGenerator<Batch> {
      for (let start = 0; start < 5; start += size) {
        const count = Math.min(size, 5 - start);
        const images = pixels.slice(start * 192, (start + count) * 192);
        const labels = Int32Array.from({ length: count }, (_, i) => (start + i) % 3);
        yield { images, labels, samples: labels, keys: [], size: count, index: start / size, waitMs: 0 };
      }
    }
    const [whole, single] = [
      await evaluator.run(batches(3), [3, 8, 8]),
      await evaluator.run(batches(1), [1, 8, 8]),
    ];
    expect(whole.images).toBe(5);
    expect(whole.loss).toBeCloseTo(single.loss, 6);
    expect(whole.top1).toBe(single.top1);
    evaluator.dispose();
    model.dispose();
  });
});

describe('a checkpoint file', () => {
  const path = join(scratch.path, 'c.safetensors');
  const content = {
    state: { step: 3, text: 'ü' },
    tensors: new Map([
      ['model/a', { shape: [2, 1], values: Float32Array.of(1.5, -0) }],
      ['model/n', { shape: [], values: Int32Array.of(7) }],
    ]),
  };

  it('gives back every bit', () => {
    writeCheckpointFile(path, content);
    const read = readCheckpointFile(path);
    expect(read.state).toEqual(content.state);
    expect([...read.tensors]).toEqual([...content.tensors]);
    expect(Object.is(read.tensors.get('model/a')!.values[1], -0)).toBe(true);
  });

  it('refuses any flipped byte', () => {
    writeCheckpointFile(join(scratch.path, 'd.safetensors'), content);
    const good = readFileSync(join(scratch.path, 'd.safetensors'));
    for (let i = 0; i < good.length; i++) {
      const bytes = Buffer.from(good);
      bytes[i] ^= 1;
      writeBytes(join(scratch.path, 'e.safetensors'), bytes);
      expect(() => readCheckpointFile(join(scratch.path, 'e.safetensors')), `byte ${i}`).toThrow();
    }
  });
});

describe('logs', () => {
  it('drop rows beyond the resumed step, also one that was cut off', () => {
    const folder = join(scratch.path, 'logs');
    const row = { epoch: 1, rate: 0.1, loss: 1, gradientNorm: 1, imagesPerSecond: 9, dataWait: 0 };
    const first = new RunLogs(folder, 0, true);
    for (const step of [1, 2, 3]) first.step({ step, ...row });
    first.close();
    writeBytes(
      join(folder, 'metrics.jsonl'),
      Buffer.concat([readFileSync(join(folder, 'metrics.jsonl')), Buffer.from('{"st')]),
    );
    const second = new RunLogs(folder, 2, false);
    second.step({ step: 3, ...row, loss: 2 });
    second.close();
    const lines = readFileSync(join(folder, 'metrics.jsonl'), 'utf8').trim().split('\n');
    expect(lines.map((line) => [JSON.parse(line).step, JSON.parse(line).loss])).toEqual([
      [1, 1],
      [2, 1],
      [3, 2],
    ]);
    expect(readdirSync(join(folder, 'events'))).toHaveLength(1);
  });
});

describe('TensorBoard events', () => {
  it('are framed with masked CRCs and hold tag, value and step', () => {
    expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283); // the check value of CRC-32C
    const folder = join(scratch.path, 'events');
    const writer = new EventWriter(folder);
    writer.scalar('train/loss', 0.5, 300);
    writer.close();
    const bytes = readFileSync(join(folder, readdirSync(folder)[0]));
    const records: Buffer[] = [];
    for (let at = 0; at < bytes.length; ) {
      const length = Number(bytes.readBigUInt64LE(at));
      const masked = (data: Buffer): number =>
        (((crc32c(data) >>> 15) | (crc32c(data) << 17)) + 0xa282ead8) >>> 0;
      const data = bytes.subarray(at + 12, at + 12 + length);
      expect(bytes.readUInt32LE(at + 8)).toBe(masked(bytes.subarray(at, at + 8)));
      expect(bytes.readUInt32LE(at + 12 + length)).toBe(masked(data));
      records.push(data);
      at += length + 16;
    }
    expect(records[0].includes('brain.Event:2')).toBe(true);
    expect(records[1].includes('train/loss')).toBe(true);
    expect(records[1].subarray(9, 12)).toEqual(Buffer.from([0x10, 0xac, 0x02])); // step = 300
    expect(records[1].subarray(-4).readFloatLE()).toBe(0.5);
  });
});

describe('weights of one name', () => {
  it('are refused with E_WEIGHT_NAMES', () => {
    const layer = tf.layers.dense({ name: 'twin', units: 1 });
    layer.apply(tf.input({ shape: [2] }));
    const network = { layers: [layer, layer] } as unknown as tf.LayersModel;
    expect(() => namedWeights(network)).toThrow('two weights of the network are called twin.kernel');
  });
});

describe('a module prefix', () => {
  it('covers the module and what is below it, not its namesakes', () => {
    expect(isBelow('layer1.0.conv1', 'layer1')).toBe(true);
    expect(isBelow('layer1', 'layer1')).toBe(true);
    expect(isBelow('layer10.0', 'layer1')).toBe(false);
  });
});
