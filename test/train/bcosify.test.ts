import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bcosifyFile } from '../../src/convert/bcosify/bcosifyFile.js';
import { tensorsOfModel } from '../../src/convert/modelState.js';
import { writePyTorch } from '../../src/convert/pytorch/pytorchWriter.js';
import type { FactError } from '../../src/core/errors.js';
import { readImage } from '../../src/explain/session/imageFiles.js';
import { openSession } from '../../src/explain/session/session.js';
import { loadModel } from '../../src/models/loadModel.js';
import { biasFactorAt, exponentAt } from '../../src/train/bcosSchedule.js';
import { configHash } from '../../src/train/config/resolved.js';
import type { TrainConfigInput } from '../../src/train/config/schema.js';
import { train } from '../../src/train/train.js';
import { useEngine } from '../engine.js';
import { pngOf, randomPicture } from '../fixtures/pictures.js';
import { scratchFolder, tinyConfig, writeTinyData } from './tinyRun.js';

useEngine();
const scratch = scratchFolder();
const at = (name: string): string => join(scratch.path, name);
const [data, standard, equal] = [at('data'), at('standard'), at('equal')];

const shape = { width: 8, blocks: [1, 1] };
const plain: Partial<TrainConfigInput> = {
  model: { arch: 'torchvision_resnet', options: { ...shape } },
  loss: { name: 'crossEntropy' },
  clip: {},
};
const raise: Partial<TrainConfigInput> = {
  model: { arch: 'bcosified_resnet', options: { ...shape, logitBias: -Math.LN2 } },
  init: { from: equal },
  epochs: 4,
  optimizer: { name: 'adam', rate: 0.003 },
  schedule: { name: 'cosine', interval: 'epoch' },
  bcos: { b: { from: 1, to: 2, epochs: 2 }, biasDecay: { epochs: 3 } },
};

beforeAll(async () => {
  await writeTinyData(data, { train: 24 });
  await train(tinyConfig({ ...plain, epochs: 4 }), { dataDir: data, out: standard });
  // The way of a person: a .pth of the standard network, without its architecture's name.
  const model = await loadModel(join(standard, 'model'));
  writePyTorch(at('standard.pth'), tensorsOfModel(model), null);
  model.dispose();
});
afterAll(() => scratch.remove());

/** Weights of a network's folder whose names end in a parameter. */
async function valuesOf(folder: string, parameter: string): Promise<number[]> {
  const model = await loadModel(folder);
  const values = model
    .stateDict()
    .filter(({ name }) => name.endsWith(`.${parameter}`))
    .flatMap((entry) => Array.from(entry.read(), Number));
  model.dispose();
  return values;
}

/** Largest relative error of the sums of one picture, and the names of the terms that no pixel explains. */
async function ledgersOf(folder: string): Promise<{ worst: number; constants: string[] }> {
  const picture = at('picture.png');
  writeFileSync(picture, await pngOf(randomPicture(8, 8, 3, true)));
  const session = await openSession({ model: folder });
  try {
    const [explanation] = await session.explainer.explain([await readImage(picture, session.spec)]);
    return {
      worst: Math.max(...explanation.ledgers.map((ledger) => ledger.relativeError)),
      constants: explanation.ledgers.flatMap((ledger) =>
        ledger.lines.flatMap(({ name, value }) => (value !== 0 && /bn|fc/.test(name) ? [name] : [])),
      ),
    };
  } finally {
    await session.close();
  }
}

describe('a standard network, trained, B-cosified and fine-tuned', () => {
  it('keeps its logits at B = 1, raises B to 2, loses its biases, and its sums hold throughout', async () => {
    const set = { ...shape, numClasses: 3, inputSize: 8 };
    const report = await bcosifyFile(at('standard.pth'), equal, {
      arch: 'torchvision_resnet',
      set,
    });
    expect(report.logits.relativeError).toBeLessThanOrEqual(1e-5);
    const start = await ledgersOf(equal);
    expect(start.worst).toBeLessThanOrEqual(1e-5);
    expect(start.constants.length).toBeGreaterThan(0);

    const out = at('run');
    const result = await train(tinyConfig(raise), { dataDir: data, out });
    expect(result.status).toBe('done');
    expect(result.last?.valTop1).toBeGreaterThan(60);
    const model = join(out, 'model');
    expect(new Set(await valuesOf(model, 'b'))).toEqual(new Set([2]));
    expect(new Set(await valuesOf(model, 'bias'))).toEqual(new Set([0]));
    const end = await ledgersOf(model);
    expect(end.worst).toBeLessThanOrEqual(1e-5);
    expect(end.constants).toEqual([]);
  });

  it('ends with the same bits when it is stopped and resumed while B rises', async () => {
    const whole = at('run');
    const parts = at('parts');
    const config = tinyConfig({ ...raise, checkpoint: { everySteps: 1 } });
    for (const resume of [false, true]) {
      const stop = new AbortController();
      stop.abort(); // after one step
      const result = await train(config, { dataDir: data, out: parts, resume, signal: stop.signal });
      expect(result.status).toBe('stopped');
    }
    await train(config, { dataDir: data, out: parts, resume: true });
    const weights = (folder: string): Buffer => readFileSync(join(folder, 'model/weights.bin'));
    expect(weights(parts).equals(weights(whole))).toBe(true);
  });

  it('starts from the published form too, without a schedule', async () => {
    const published = at('published');
    const options = {
      arch: 'torchvision_resnet',
      form: 'published' as const,
      set: { ...shape, numClasses: 3, inputSize: 8 },
    };
    await bcosifyFile(at('standard.pth'), published, options);
    const out = at('published-run');
    const change = { bias: false, pool: 'avg', b: 2 };
    const result = await train(
      tinyConfig({
        ...raise,
        model: { arch: 'bcosified_resnet', options: { ...shape, ...change } },
        init: { from: published },
        epochs: 2,
        bcos: {},
      }),
      { dataDir: data, out },
    );
    expect(result.last?.valTop1).toBeGreaterThan(40);
    expect((await ledgersOf(join(out, 'model'))).worst).toBeLessThanOrEqual(1e-5);
  });
});

describe('the schedule', () => {
  let refused = 0;

  it('raises B linearly and stays there', () => {
    const b = { from: 1, to: 2, epochs: 2 };
    expect([0, 5, 10, 20, 40].map((u) => exponentAt(b, 10, u))).toEqual([1, 1.25, 1.5, 2, 2]);
    expect(exponentAt({ ...b, epochs: 0 }, 10, 0)).toBe(2);
  });

  it('takes biases to 0 along a straight line', () => {
    let left = 1;
    const seen: number[] = [];
    for (let u = 0; u < 12; u++) {
      left *= biasFactorAt({ epochs: 1 }, 10, u);
      seen.push(left);
    }
    expect(seen[4]).toBeCloseTo(0.5, 12);
    expect(seen.slice(9)).toEqual([0, 0, 0]);
    expect(biasFactorAt({ epochs: 0 }, 10, 0)).toBe(0);
  });

  it.each<[string, string, Partial<TrainConfigInput>]>([
    ['a network whose B is fixed', 'bcos.b', { bcos: { b: { epochs: 1 } } }],
    ['a network without biases', 'bcos.biasDecay', { bcos: { biasDecay: { epochs: 1 } } }],
    ['an average over networks of different B', 'ema', { ...raise, ema: { decay: 0.9 } }],
  ])('is E_CONFIG for %s', async (_what, key, change) => {
    const config = tinyConfig({ ...change, init: {} });
    const error = (await train(config, { dataDir: data, out: at(`refused${refused++}`) }).catch(
      (e: unknown) => e,
    )) as FactError;
    expect(error.code).toBe('E_CONFIG');
    expect(error.message).toContain(key);
  });

  it('left out does not make a run another one than before there was a schedule', () => {
    const config = tinyConfig();
    const { bcos: _, ...before } = config;
    expect(configHash(before as typeof config)).toBe(configHash(config));
    expect(configHash(tinyConfig({ bcos: { biasDecay: { epochs: 1 } } }))).not.toBe(configHash(config));
  });
});
