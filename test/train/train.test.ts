import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FactError } from '../../src/core/errors.js';
import { sha256 } from '../../src/core/hash.js';
import { loadModel } from '../../src/models/loadModel.js';
import { readCheckpointFile, writeCheckpointFile } from '../../src/train/checkpoint/format.js';
import { type TrainOptions, train } from '../../src/train/train.js';
import { useEngine } from '../engine.js';
import { scratchFolder, tinyConfig, writeTinyData } from './tinyRun.js';

useEngine();
const scratch = scratchFolder();
const data = join(scratch.path, 'data');
let runs = 0;
const newRun = (): string => join(scratch.path, `run${runs++}`);

beforeAll(() => writeTinyData(data));
afterAll(() => scratch.remove());

/** Every stored tensor of a checkpoint as one hash. */
function tensorsHash(path: string): string {
  const { tensors } = readCheckpointFile(path);
  return sha256(
    JSON.stringify([...tensors].map(([name, t]) => [name, sha256(new Uint8Array(t.values.buffer))])),
  );
}

async function errorOf(run: Promise<unknown>): Promise<FactError> {
  try {
    await run;
  } catch (error) {
    expect(error).toBeInstanceOf(FactError);
    return error as FactError;
  }
  throw new Error('no error was thrown');
}

/** Stops a run after so many batches, as Ctrl-C would. */
function stopAfter(batches: number): Pick<TrainOptions, 'signal'> {
  let left = batches;
  const controller = new AbortController();
  const signal = new Proxy(controller.signal, {
    get: (target, key) => (key === 'aborted' ? left-- <= 1 : Reflect.get(target, key)),
  });
  return { signal };
}

describe('a run', () => {
  it('learns three colours and leaves its recipe, logs, checkpoints and network behind', async () => {
    const out = newRun();
    const result = await train(tinyConfig({ epochs: 8 }), { dataDir: data, out });
    expect(result.status).toBe('done');
    expect(result.best?.top1).toBeGreaterThanOrEqual(90);
    for (const name of [
      'config.yaml',
      'summary.csv',
      'metrics.jsonl',
      'checkpoints/last.safetensors',
      'checkpoints/best.safetensors',
      'model/fact.json',
    ]) {
      expect(existsSync(join(out, name)), name).toBe(true);
    }
    expect(existsSync(join(out, 'run.lock'))).toBe(false);
    const summary = readFileSync(join(out, 'summary.csv'), 'utf8').trim().split('\n');
    expect(summary).toHaveLength(9);
    const steps = readFileSync(join(out, 'metrics.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).step);
    expect(steps).toEqual(Array.from({ length: 24 }, (_, i) => 2 * (i + 1)));
    const model = await loadModel(join(out, 'model'));
    expect(model.spec.classNames).toEqual(['class0', 'class1', 'class2']);
    model.dispose();
  });

  it('gives the same bits twice', async () => {
    const [a, b] = [newRun(), newRun()];
    await train(tinyConfig({ epochs: 2 }), { dataDir: data, out: a });
    await train(tinyConfig({ epochs: 2, data: { ...tinyConfig().data, workers: 2 } }), {
      dataDir: data,
      out: b,
    });
    expect(tensorsHash(join(a, 'checkpoints/last.safetensors'))).toBe(
      tensorsHash(join(b, 'checkpoints/last.safetensors')),
    );
  });

  it('keeps the number of tensors flat', async () => {
    const before = tf.memory().numTensors;
    await train(tinyConfig({ epochs: 1, ema: { decay: 0.9, steps: 2 }, accumulate: 2 }), {
      dataDir: data,
      out: newRun(),
    });
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('a stopped run', () => {
  const recipes = {
    plain: tinyConfig(),
    'with a moving average, accumulation, mixing and momentum': tinyConfig({
      ema: { decay: 0.9, steps: 2, warmupEpochs: 1 },
      accumulate: 2,
      mixing: { mixup: 0.2, cutmix: 1 },
      optimizer: { name: 'sgd', rate: 0.05, momentum: 0.9, weightDecay: 1e-4 },
    }),
  };
  for (const [name, config] of Object.entries(recipes)) {
    it(`(${name}) resumes to the bits of an uninterrupted one`, async () => {
      const [whole, parts] = [newRun(), newRun()];
      await train(config, { dataDir: data, out: whole });
      let resume = false;
      for (const batches of [1, 4, 2]) {
        const result = await train(config, { dataDir: data, out: parts, resume, ...stopAfter(batches) });
        expect(result.status).toBe('stopped');
        resume = true;
      }
      const result = await train(config, { dataDir: data, out: parts, resume });
      expect(result.status).toBe('done');
      expect(tensorsHash(join(parts, 'checkpoints/last.safetensors'))).toBe(
        tensorsHash(join(whole, 'checkpoints/last.safetensors')),
      );
      const column = (folder: string): string[] =>
        readFileSync(join(folder, 'summary.csv'), 'utf8')
          .trim()
          .split('\n')
          .map((line) => line.split(',').slice(0, 8).join());
      expect(column(parts)).toEqual(column(whole));
    });
  }

  it('is not overwritten without --resume', async () => {
    const out = newRun();
    await train(tinyConfig(), { dataDir: data, out, ...stopAfter(1) });
    const before = tensorsHash(join(out, 'checkpoints/last.safetensors'));
    expect((await errorOf(train(tinyConfig(), { dataDir: data, out }))).code).toBe('E_RUN_EXISTS');
    expect(tensorsHash(join(out, 'checkpoints/last.safetensors'))).toBe(before);
  });

  it('does not resume with another recipe, and names the key', async () => {
    const out = newRun();
    await train(tinyConfig(), { dataDir: data, out, ...stopAfter(1) });
    const changed = tinyConfig({ optimizer: { name: 'adam', rate: 0.02 } });
    const error = await errorOf(train(changed, { dataDir: data, out, resume: true }));
    expect(error.code).toBe('E_CONFIG_CHANGED');
    expect(error.message).toContain('optimizer.rate: 0.01 -> 0.02');
    const harmless = tinyConfig({ log: { everySteps: 5 }, checkpoint: { everySteps: 3 } });
    expect((await train(harmless, { dataDir: data, out, resume: true })).status).toBe('done');
  });

  it('does not resume on a data set of another size', async () => {
    const [out, more] = [newRun(), join(scratch.path, 'more')];
    await writeTinyData(more, { train: 32 });
    await train(tinyConfig(), { dataDir: data, out, ...stopAfter(1) });
    const error = await errorOf(train(tinyConfig(), { dataDir: more, out, resume: true }));
    expect(error.code).toBe('E_DATA_CHANGED');
    expect(error.message).toContain('12 batches an epoch, it had 6');
  });

  it('warns where it is resumed with another number of threads', async () => {
    const out = newRun();
    const warnings: string[] = [];
    const log = { info: () => {}, warn: (line: string) => void warnings.push(line) };
    await train(tinyConfig({ epochs: 1 }), { dataDir: data, out, threads: 1, ...stopAfter(1) });
    await train(tinyConfig({ epochs: 1 }), { dataDir: data, out, threads: 2, resume: true, log });
    expect(warnings.join()).toContain('1 threads');
  });

  it('says so where there is nothing to resume', async () => {
    const error = await errorOf(train(tinyConfig(), { dataDir: data, out: newRun(), resume: true }));
    expect(error.code).toBe('E_CHECKPOINT_MISSING');
  });
});

describe('a damaged checkpoint', () => {
  const damage: Record<string, { change: (path: string) => void; code: string; text: string }> = {
    'cut off': {
      change: (path) => writeFileSync(path, readFileSync(path).subarray(0, -10)),
      code: 'E_CHECKPOINT_BROKEN',
      text: 'SHA-256',
    },
    'with one bit flipped': {
      change: (path) => {
        const bytes = readFileSync(path);
        bytes[bytes.length - 5] ^= 4;
        writeFileSync(path, bytes);
      },
      code: 'E_CHECKPOINT_BROKEN',
      text: 'SHA-256',
    },
    empty: { change: (path) => writeFileSync(path, ''), code: 'E_CHECKPOINT_BROKEN', text: 'cut off' },
    'of a newer version': {
      change: (path) => {
        const text = readFileSync(path).toString('latin1').replace('"version":"1"', '"version":"9"');
        writeFileSync(path, Buffer.from(text, 'latin1'));
      },
      code: 'E_CHECKPOINT_NEWER',
      text: 'version 9',
    },
    'without a slot': {
      change: (path) => {
        const { state, tensors } = readCheckpointFile(path);
        const name = 'optimizer/moment1/fc.linear.weight';
        writeCheckpointFile(path, { state, tensors: new Map([...tensors].filter(([key]) => key !== name)) });
      },
      code: 'E_CHECKPOINT_MISMATCH',
      text: 'misses optimizer/moment1/fc.linear.weight',
    },
    'with a slot too many': {
      change: (path) => {
        const { state, tensors } = readCheckpointFile(path);
        writeCheckpointFile(path, {
          state,
          tensors: new Map([...tensors, ['average/x', { shape: [1], values: new Float32Array(1) }]]),
        });
      },
      code: 'E_CHECKPOINT_MISMATCH',
      text: 'average/x',
    },
    'with NaN in a slot': {
      change: (path) => {
        const { state, tensors } = readCheckpointFile(path);
        tensors.get('optimizer/moment2/fc.linear.weight')!.values[0] = Number.NaN;
        writeCheckpointFile(path, { state, tensors });
      },
      code: 'E_CHECKPOINT_NAN',
      text: 'optimizer/moment2/fc.linear.weight',
    },
    'without a step': {
      change: (path) => {
        const { state, tensors } = readCheckpointFile(path);
        const { step: _, ...rest } = state;
        writeCheckpointFile(path, { state: rest, tensors });
      },
      code: 'E_CHECKPOINT_BROKEN',
      text: 'no step',
    },
  };
  for (const [name, { change, code, text }] of Object.entries(damage)) {
    it(`${name} is refused with ${code}`, async () => {
      const out = newRun();
      await train(tinyConfig(), { dataDir: data, out, ...stopAfter(1) });
      change(join(out, 'checkpoints/last.safetensors'));
      const error = await errorOf(train(tinyConfig(), { dataDir: data, out, resume: true }));
      expect(error.code).toBe(code);
      expect(error.message).toContain(text);
    });
  }
});

describe('a locked folder', () => {
  it('is refused while its process lives, and taken over when that is gone', async () => {
    const out = newRun();
    const lock = join(out, 'run.lock');
    const hold = (pid: number): void => {
      mkdirSync(out, { recursive: true });
      writeFileSync(lock, JSON.stringify({ pid, host: hostname(), started: null }));
    };
    hold(process.ppid);
    expect((await errorOf(train(tinyConfig(), { dataDir: data, out }))).code).toBe('E_RUN_LOCKED');
    expect(existsSync(lock)).toBe(true);
    hold(2 ** 22 + 12345); // above the largest process id of Linux
    expect((await train(tinyConfig({ epochs: 1 }), { dataDir: data, out })).status).toBe('done');
    mkdirSync(newRun());
  });

  it('with a damaged lock is taken over', async () => {
    const out = newRun();
    mkdirSync(out);
    writeFileSync(join(out, 'run.lock'), '{');
    expect((await train(tinyConfig({ epochs: 1 }), { dataDir: data, out })).status).toBe('done');
  });
});

describe('a run that diverges', () => {
  it('stops with the step and the first layer that is not finite, and keeps the last checkpoint', async () => {
    const out = newRun();
    const config = tinyConfig({ checkpoint: { everySteps: 1 } });
    await train(config, { dataDir: data, out, ...stopAfter(2) });
    const path = join(out, 'checkpoints/last.safetensors');
    const { state, tensors } = readCheckpointFile(path);
    tensors.get('model/layer1.0.bn1.weight')!.values.fill(3e38);
    writeCheckpointFile(path, { state, tensors });
    const before = tensorsHash(path);
    const error = await errorOf(train(config, { dataDir: data, out, resume: true }));
    expect(error.code).toBe('E_NAN');
    expect(error.message).toContain('step 3 (epoch 1)');
    expect(error.message).toContain('layer1.0.bn1');
    expect(tensorsHash(path)).toBe(before);
  });
});
