import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { GlobalAvgPool2d } from '../../src/layers/globalAvgPool2d.js';
import { PosEmbSinCos2d } from '../../src/layers/posEmbSinCos2d.js';
import { blockOf } from './blocks.js';
import type { GoldenCheck, GoldenSuite } from './checks.js';
import { type GoldenTensor, readGoldenSafetensors } from './format.js';
import {
  isImage,
  type ModuleCase,
  ModuleChecker,
  type Run,
  runEager,
  runFed,
  type Subject,
} from './moduleCase.js';
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

function subjectOf(layer: tf.layers.Layer, c: ModuleCase): Subject {
  const apply: Subject['apply'] = (inputs, args) => {
    // Which rows the reference dropped, as random numbers: 0 keeps, the largest below 1 drops.
    const uniform =
      c.layer === 'StochasticDepth'
        ? { [layer.name]: tf.tensor1d(c.config.keep.map((kept: number) => (kept === 1 ? 0 : 0.999))) }
        : undefined;
    const y = layer.apply(inputs, { ...args, uniform }) as tf.Tensor;
    // The reference's adaptive pooling keeps its two axes of size 1.
    if (layer instanceof GlobalAvgPool2d) return tf.reshape(y, [y.shape[0], 1, 1, y.shape[1] as number]);
    // The reference gives the embedding itself, as rows.
    if (layer instanceof PosEmbSinCos2d) return tf.squeeze(tf.sub(y, tf.reshape(inputs[0], y.shape)), [0]);
    return y;
  };
  return { layers: [layer], prefix: `${layer.name}.`, apply };
}

/** Shape of the first input as tfjs has it, the batch unknown. */
function inputShape(c: ModuleCase, x: GoldenTensor): (number | null)[] {
  return isImage(c, x.shape.length) ? [null, null, null, x.shape[1]] : [null, ...x.shape.slice(1)];
}

function layerSubject(c: ModuleCase, golden: Record<string, GoldenTensor>): Subject | null {
  const layer = layerOf(c);
  if (layer === null) return null;
  if (c.layer !== 'AddInverse') {
    layer.build(inputShape(c, golden.x));
    layer.built = true;
  }
  return subjectOf(layer, c);
}

function blockSubject(c: ModuleCase, golden: Record<string, GoldenTensor>): Subject | null {
  const inputs = [golden.x, golden.x2].filter((t) => t !== undefined);
  const shapes = inputs.map(({ shape }) =>
    shape.length === 4 ? [shape[2], shape[3], shape[1]] : shape.slice(1),
  );
  return blockOf(c, shapes);
}

async function runCase(folder: string, c: ModuleCase, run: Run): Promise<readonly GoldenCheck[] | 'not yet'> {
  const golden = tensorsOf(folder, c);
  const subject = c.group === 'blocks' ? blockSubject(c, golden) : layerSubject(c, golden);
  if (subject === null) return 'not yet';
  try {
    const checker = new ModuleChecker(c, golden, subject, run);
    checker.fill();
    return await checker.check();
  } finally {
    for (const layer of subject.layers) for (const weight of layer.weights) weight.dispose();
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
        .filter((c) => c.layer !== 'gradientToImage')
        .map((c) => ({ name: c.id, run: () => runCase(folder, c, run) }));
    },
  };
}

export const layersEager = suite('layers eager', runEager);
export const layersCompiled = suite('layers compiled', runFed);
