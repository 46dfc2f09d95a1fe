import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writePyTorch } from '../../src/convert/pytorch/pytorchWriter.js';
import type { FactError } from '../../src/core/errors.js';
import { createModel } from '../../src/models/createModel.js';
import { loadModel } from '../../src/models/loadModel.js';
import type { TrainConfigInput } from '../../src/train/config/schema.js';
import { train } from '../../src/train/train.js';
import { useEngine } from '../engine.js';
import { scratchFolder, tinyConfig, writeTinyData } from './tinyRun.js';

useEngine();
const scratch = scratchFolder();
const [three, four] = [join(scratch.path, 'three'), join(scratch.path, 'four')];
const source = join(scratch.path, 'source');
const options = { blocks: [1, 1], width: 8, stem: 'cifar' };
let runs = 0;
const newRun = (): string => join(scratch.path, `run${runs++}`);

beforeAll(async () => {
  await writeTinyData(three, { classes: 3, train: 24 });
  await writeTinyData(four, { classes: 4, train: 24 });
  await train(tinyConfig({ epochs: 6, model: { arch: 'resnet', options } }), { dataDir: three, out: source });
});
afterAll(() => scratch.remove());

function finetune(change: Partial<TrainConfigInput> = {}) {
  return tinyConfig({
    epochs: 5,
    seed: 99,
    model: { arch: 'resnet', options },
    init: { from: source, newHead: 'fc' },
    frozen: ['conv1', 'bn1', 'layer1'],
    groups: [{ match: ['layer2'], rateFactor: 0.1 }],
    optimizer: { name: 'adam', rate: 0.03 },
    ...change,
  });
}

async function valuesOf(folder: string): Promise<Map<string, number[]>> {
  const model = await loadModel(join(folder, 'model'));
  const values = new Map(model.stateDict().map((entry) => [entry.name, Array.from(entry.read(), Number)]));
  model.dispose();
  return values;
}

describe('fine-tuning', () => {
  it('with a new head reaches 90 % on four classes in five epochs, and leaves frozen stages and their norms untouched', async () => {
    const out = newRun();
    const result = await train(finetune(), { dataDir: four, out });
    expect(result.best?.top1).toBeGreaterThanOrEqual(90);
    const [before, after] = [await valuesOf(source), await valuesOf(out)];
    for (const [name, values] of before) {
      const isFrozen = /^(conv1|bn1|layer1)\./.test(name);
      if (isFrozen) expect(after.get(name), name).toEqual(values);
      else if (!/running_mean/.test(name)) expect(after.get(name), name).not.toEqual(values);
    }
  });

  it('with a rate factor of 0 moves no weight of the group', async () => {
    const out = newRun();
    await train(
      finetune({ frozen: [], groups: [{ match: ['layer1', 'layer2'], rateFactor: 0 }], epochs: 1 }),
      { dataDir: four, out },
    );
    const [before, after] = [await valuesOf(source), await valuesOf(out)];
    for (const [name, values] of before) {
      if (/^layer.*weight$/.test(name)) expect(after.get(name), name).toEqual(values);
    }
    expect(after.get('conv1.linear.weight')).not.toEqual(before.get('conv1.linear.weight'));
  });

  it('resumes with frozen stages: slots are paired by name', async () => {
    const out = newRun();
    const controller = new AbortController();
    controller.abort();
    const stopped = await train(finetune({ epochs: 1 }), { dataDir: four, out, signal: controller.signal });
    expect(stopped.status).toBe('stopped');
    expect((await train(finetune({ epochs: 1 }), { dataDir: four, out, resume: true })).status).toBe('done');
  });

  const bad: readonly [string, Partial<TrainConfigInput>, string, string][] = [
    [
      'without a new head for other classes',
      { init: { from: source } },
      'E_INIT_WEIGHTS',
      'fc.linear.weight',
    ],
    ['from nowhere', { init: { from: join(scratch.path, 'nowhere') } }, 'E_INIT_MISSING', 'nowhere'],
    ['with an unknown frozen stage', { frozen: ['layre1'] }, 'E_CONFIG', 'frozen: no module "layre1"'],
    [
      'with an unknown group',
      { groups: [{ match: ['layer7'], rateFactor: 1 }] },
      'E_CONFIG',
      'groups: no module "layer7"',
    ],
    [
      'with everything frozen',
      { frozen: ['conv1', 'bn1', 'layer1', 'layer2', 'fc'] },
      'E_CONFIG',
      'nothing is left',
    ],
    [
      'from another architecture',
      { model: { arch: 'resnet', options: { ...options, width: 4 } } },
      'E_INIT_WEIGHTS',
      'expected',
    ],
  ];
  for (const [name, change, code, text] of bad) {
    it(`${name} is refused`, async () => {
      const error = (await train(finetune(change), { dataDir: four, out: newRun() }).catch(
        (e) => e,
      )) as FactError;
      expect(error.code).toBe(code);
      expect(error.message).toContain(text);
    });
  }

  it('starts from a PyTorch checkpoint too', async () => {
    const model = createModel('resnet', { ...options, stem: 'cifar', numClasses: 3, seed: 5 });
    const tensors = model.stateDict().map((entry) => {
      const values = entry.read();
      const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
      return { name: `module.${entry.name}`, dtype: entry.dtype, shape: [...entry.shape], bytes };
    });
    model.dispose();
    const path = join(scratch.path, 'weights.pth');
    writePyTorch(path, tensors);
    const result = await train(finetune({ init: { from: path, newHead: 'fc' }, epochs: 1 }), {
      dataDir: four,
      out: newRun(),
    });
    expect(result.status).toBe('done');
  });
});
