import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { GlobalAvgPool2d } from '../../src/layers/globalAvgPool2d.js';
import type { GoldenCheck, GoldenSuite } from './checks.js';
import { type GoldenTensor, readGoldenSafetensors } from './format.js';
import { type ModuleCase, ModuleChecker, type Run, runEager, runFed, type Subject } from './moduleCase.js';
import { layerOf } from './modules.js';

const groups = new Map<string, Record<string, GoldenTensor>>();

/** Tensors of one case; files are read once. */
function tensorsOf(folder: string, c: ModuleCase): Record<string, GoldenTensor> {
  const path = join(folder, 'bcos', 'layers', `${c.group}.safetensors`);
  let all = groups.get(path);
  if (all === undefined) {
    all = readGoldenSafetensors(path);
    groups.set(path, all);
  }
  const prefix = `${c.id}:`;
  const own = Object.entries(all).filter(([name]) => name.startsWith(prefix));
  return Object.fromEntries(own.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}

function subjectOf(layer: tf.layers.Layer): Subject {
  return {
    layers: [layer],
    prefix: `${layer.name}.`,
    apply: (inputs, args) => {
      const y = layer.apply(inputs, { ...args }) as tf.Tensor;
      // The reference's adaptive pooling keeps its two axes of size 1.
      return layer instanceof GlobalAvgPool2d ? tf.reshape(y, [y.shape[0], 1, 1, y.shape[1] as number]) : y;
    },
  };
}

/** Shape of the first input as tfjs has it, the batch unknown. */
function inputShape(c: ModuleCase, x: GoldenTensor): (number | null)[] {
  const image = c.group !== 'linear' && x.shape.length === 4;
  return image ? [null, null, null, x.shape[1]] : [null, ...x.shape.slice(1)];
}

async function runCase(folder: string, c: ModuleCase, run: Run): Promise<readonly GoldenCheck[] | 'not yet'> {
  const layer = layerOf(c);
  if (layer === null) return 'not yet';
  const golden = tensorsOf(folder, c);
  if (c.layer !== 'AddInverse') {
    layer.build(inputShape(c, golden.x));
    layer.built = true;
  }
  const checker = new ModuleChecker(c, golden, subjectOf(layer), run);
  try {
    checker.fill();
    return await checker.check();
  } finally {
    for (const weight of layer.weights) weight.dispose();
  }
}

function suite(name: string, run: Run): GoldenSuite {
  return {
    name,
    part: join('bcos', 'layers.json'),
    cases: (folder) => {
      const { cases } = JSON.parse(readFileSync(join(folder, 'bcos', 'layers.json'), 'utf8')) as {
        cases: ModuleCase[];
      };
      return cases
        .filter((c) => c.group !== 'blocks' && c.layer !== 'gradientToImage')
        .map((c) => ({ name: c.id, run: () => runCase(folder, c, run) }));
    },
  };
}

export const layersEager = suite('layers eager', runEager);
export const layersCompiled = suite('layers compiled', runFed);
