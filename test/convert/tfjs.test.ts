import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { convertCheckpoint } from '../../src/convert/convertCheckpoint.js';
import { readTfjs } from '../../src/convert/tfjs/readTfjs.js';
import { Random } from '../../src/core/random.js';
import { createModel } from '../../src/models/createModel.js';
import { useEngine } from '../engine.js';

useEngine('cpu');

let folder: string;
const at = (...name: string[]): string => join(folder, ...name);
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'fact-tfjs-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Writes what tfjs gives a save handler as a folder, the weights in `parts` files. */
async function saveAs(
  name: string,
  artifacts: tf.io.ModelArtifacts,
  format: 'layers-model' | 'graph-model',
  parts = 1,
): Promise<void> {
  mkdirSync(at(name));
  const data = new Uint8Array(artifacts.weightData as ArrayBuffer);
  const length = Math.ceil(data.length / parts / 4) * 4 + (parts > 1 ? 2 : 0);
  const paths = Array.from({ length: parts }, (_, i) => `group-${i}.bin`);
  paths.forEach((path, i) => {
    writeFileSync(at(name, path), data.subarray(i * length, (i + 1) * length));
  });
  const json = {
    format,
    modelTopology: artifacts.modelTopology,
    weightsManifest: [{ paths, weights: artifacts.weightSpecs }],
  };
  writeFileSync(at(name, 'model.json'), JSON.stringify(json));
}

/** A small ResNet of torchvision's kind in plain tfjs layers, with names of its own. */
function kerasResNet(): tf.LayersModel {
  let count = 0;
  const conv = (
    x: tf.SymbolicTensor,
    filters: number,
    kernel: number,
    strides: number,
  ): tf.SymbolicTensor => {
    const pad = (kernel - 1) / 2;
    const padded = tf.layers.zeroPadding2d({ padding: pad }).apply(x) as tf.SymbolicTensor;
    const layer = tf.layers.conv2d({
      filters,
      kernelSize: kernel,
      strides,
      useBias: false,
      name: `c${count}`,
    });
    const norm = tf.layers.batchNormalization({ epsilon: 1e-3, name: `n${count++}` });
    return norm.apply(layer.apply(padded)) as tf.SymbolicTensor;
  };
  const relu = (x: tf.SymbolicTensor): tf.SymbolicTensor => tf.layers.reLU().apply(x) as tf.SymbolicTensor;
  const block = (x: tf.SymbolicTensor, filters: number, strides: number): tf.SymbolicTensor => {
    const y = conv(relu(conv(x, filters, 3, strides)), filters, 3, 1);
    const shortcut = strides === 1 ? x : conv(x, filters, 1, strides);
    return relu(tf.layers.add().apply([y, shortcut]) as tf.SymbolicTensor);
  };
  const input = tf.input({ shape: [16, 16, 3] });
  const stem = relu(conv(input, 4, 7, 2));
  const padded = tf.layers.zeroPadding2d({ padding: 1 }).apply(stem);
  const pooled = tf.layers.maxPooling2d({ poolSize: 3, strides: 2 }).apply(padded) as tf.SymbolicTensor;
  const features = block(block(pooled, 4, 1), 8, 2);
  const mean = tf.layers.globalAveragePooling2d({}).apply(features);
  const output = tf.layers.dense({ units: 3, name: 'answer' }).apply(mean) as tf.SymbolicTensor;
  const model = tf.model({ inputs: input, outputs: output });
  const random = new Random(5);
  for (const weight of model.weights) {
    const isSpread = /variance|gamma/.test(weight.name);
    const size = weight.shape.reduce((p: number, d) => p * (d ?? 1), 1);
    const values = Float32Array.from({ length: size }, () =>
      isSpread ? 0.5 + random.next() : random.next() - 0.5,
    );
    weight.write(tf.tensor(values, weight.shape as number[]));
  }
  return model;
}

const RESNET = {
  arch: 'torchvision_resnet',
  set: { width: 4, blocks: [1, 1], numClasses: 3, inputSize: 16 },
};

async function artifactsOf(model: tf.LayersModel): Promise<tf.io.ModelArtifacts> {
  let found: tf.io.ModelArtifacts | undefined;
  const handler = tf.io.withSaveHandler(async (artifacts) => {
    found = artifacts;
    return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } };
  });
  await model.save(handler);
  if (found === undefined) throw new Error('nothing was saved');
  return found;
}

describe('tfjs networks of other makers', () => {
  it('as layers, in several weight files, become ours and compute the same', async () => {
    const model = kerasResNet();
    await saveAs('layers', await artifactsOf(model), 'layers-model', 3);
    model.dispose();
    const report = await convertCheckpoint(at('layers'), at('ours'), RESNET);
    expect(report.sourceFormat).toBe('tfjs-layers');
    expect(report.parity?.notes).toEqual([]);
    expect(report.parity?.original[0].stages[0].relative).toBeLessThan(1e-5);
  });

  it('as a graph become ours and compute the same', async () => {
    writeGraph('graph');
    const report = await convertCheckpoint(at('graph', 'model.json'), at('from-graph'), RESNET);
    expect(report.sourceFormat).toBe('tfjs-graph');
    expect(report.parity?.notes).toEqual([]);
    expect(report.parity?.original[0].stages[0].relative).toBeLessThan(1e-5);
  });

  it('whose weights lie outside the folder, behind links, or are too short are refused', async () => {
    const model = tf.sequential({ layers: [tf.layers.dense({ units: 2, inputShape: [3] })] });
    const artifacts = await artifactsOf(model);
    model.dispose();
    const write = (name: string, path: string, weights: Uint8Array | null): string => {
      mkdirSync(at(name));
      const manifest = [{ paths: [path], weights: artifacts.weightSpecs }];
      const json = { modelTopology: artifacts.modelTopology, weightsManifest: manifest };
      writeFileSync(at(name, 'model.json'), JSON.stringify(json));
      if (weights !== null) writeFileSync(at(name, path), weights);
      return at(name, 'model.json');
    };
    writeFileSync(at('secret.bin'), new Uint8Array(32));
    const outside = write('outside', '../secret.bin', null);
    await expect(readTfjs(outside)).rejects.toThrowError(expect.objectContaining({ code: 'E_CKPT_UNSAFE' }));
    const linked = write('linked', 'w.bin', null);
    symlinkSync(at('secret.bin'), at('linked', 'w.bin'));
    await expect(readTfjs(linked)).rejects.toThrowError(expect.objectContaining({ code: 'E_CKPT_UNSAFE' }));
    const short = write('short', 'w.bin', new Uint8Array(8));
    await expect(readTfjs(short)).rejects.toThrowError(expect.objectContaining({ code: 'E_CKPT_TRUNCATED' }));
    const long = write('long', 'w.bin', new Uint8Array(64));
    await expect(readTfjs(long)).rejects.toThrowError(expect.objectContaining({ code: 'E_CKPT_CORRUPT' }));
  });
});

describe('a network saved here', () => {
  const small = { numClasses: 3, inputSize: 32 };
  it.each([
    ['resnet18', { ...small, width: 4 }],
    ['densenet', { ...small, width: 8, blocks: [1, 2], growth: 4 }],
    ['convnext', { ...small, width: 4, blocks: [1, 1] }],
    ['simple_vit', { ...small, width: 16, depth: 2, heads: 2, headDim: 8, mlpDim: 16, patch: 8 }],
    ['torchvision_resnet', { ...small, width: 4, blocks: [1, 1] }],
  ])('loads in plain tfjs, with the layers of this package registered: %s', async (arch, options) => {
    const model = createModel(arch, options);
    await model.save(at(arch));
    const json = JSON.parse(await readFile(at(arch, 'model.json'), 'utf8'));
    const weights = await readFile(at(arch, 'weights.bin'));
    const handler = tf.io.fromMemory({
      modelTopology: json.modelTopology,
      weightSpecs: json.weightsManifest[0].weights,
      weightData: weights.buffer.slice(weights.byteOffset, weights.byteOffset + weights.length),
    });
    const plain = await tf.loadLayersModel(handler);
    const image = tf.randomUniform([1, 32, 32, 3], 0, 1, 'float32', 1);
    const [a, b] = [plain.predict(image), model.network.predict(image)] as tf.Tensor[];
    expect(await a.data()).toEqual(await b.data());
    tf.dispose([image, a, b]);
    plain.dispose();
    model.dispose();
  });
});

/** The network of `kerasResNet` as a graph, as tfjs's converter writes it. */
function writeGraph(name: string): void {
  const random = new Random(6);
  const text = (value: string): { s: string } => ({ s: Buffer.from(value).toString('base64') });
  const list = (...i: number[]): { list: { i: string[] } } => ({ list: { i: i.map(String) } });
  const nodes: object[] = [];
  const weights: { name: string; shape: number[]; dtype: string }[] = [];
  const data: Buffer[] = [];
  const constant = (shape: number[], values: Float32Array | Int32Array): string => {
    const id = `k${weights.length}`;
    const dtype = values instanceof Float32Array ? 'float32' : 'int32';
    const type = dtype === 'float32' ? 'DT_FLOAT' : 'DT_INT32';
    nodes.push({
      name: id,
      op: 'Const',
      attr: { dtype: { type }, value: { tensor: { dtype: type, tensorShape: {} } } },
    });
    weights.push({ name: id, shape, dtype });
    data.push(Buffer.from(values.buffer));
    return id;
  };
  const floats = (shape: number[], low: number): string =>
    constant(
      shape,
      Float32Array.from({ length: shape.reduce((p, d) => p * d, 1) }, () => low + random.next()),
    );
  const node = (op: string, input: string[], attr: object = {}): string => {
    const id = `${op}_${nodes.length}`;
    nodes.push({ name: id, op, input, attr: { T: { type: 'DT_FLOAT' }, ...attr } });
    return id;
  };
  const nhwc = { data_format: text('NHWC') };
  const padded = (x: string, by: number): string =>
    by === 0 ? x : node('Pad', [x, constant([4, 2], Int32Array.of(0, 0, by, by, by, by, 0, 0))]);
  const conv = (x: string, inputs: number, filters: number, kernel: number, stride: number): string => {
    const y = node('Conv2D', [padded(x, (kernel - 1) / 2), floats([kernel, kernel, inputs, filters], -0.5)], {
      strides: list(1, stride, stride, 1),
      dilations: list(1, 1, 1, 1),
      padding: text('VALID'),
      ...nhwc,
    });
    const facts = [
      floats([filters], 0.5),
      floats([filters], -0.5),
      floats([filters], -0.5),
      floats([filters], 0.5),
    ];
    return node('FusedBatchNormV3', [y, ...facts], {
      epsilon: { f: 1e-3 },
      is_training: { b: false },
      ...nhwc,
    });
  };
  const relu = (x: string): string => node('Relu', [x]);
  const block = (x: string, inputs: number, filters: number, stride: number): string => {
    // The short cut first: the order of computation is not that of the state dict.
    const shortcut = stride === 1 ? x : conv(x, inputs, filters, 1, stride);
    const y = conv(relu(conv(x, inputs, filters, 3, stride)), filters, filters, 3, 1);
    return relu(node('AddV2', [y, shortcut]));
  };
  nodes.push({
    name: 'image',
    op: 'Placeholder',
    attr: {
      dtype: { type: 'DT_FLOAT' },
      shape: { shape: { dim: [1, 16, 16, 3].map((size) => ({ size: String(size) })) } },
    },
  });
  const stem = relu(conv('image', 3, 4, 7, 2));
  const pooled = node('MaxPool', [padded(stem, 1)], {
    ksize: list(1, 3, 3, 1),
    strides: list(1, 2, 2, 1),
    padding: text('VALID'),
    ...nhwc,
  });
  const features = block(block(pooled, 4, 4, 1), 4, 8, 2);
  const mean = node('Mean', [features, constant([2], Int32Array.of(1, 2))], { keep_dims: { b: false } });
  const product = node('MatMul', [mean, floats([8, 3], -0.5)], {
    transpose_a: { b: false },
    transpose_b: { b: false },
  });
  node('BiasAdd', [product, floats([3], -0.5)], nhwc);
  mkdirSync(at(name));
  writeFileSync(at(name, 'w.bin'), Buffer.concat(data));
  const manifest = [{ paths: ['w.bin'], weights }];
  const json = {
    format: 'graph-model',
    modelTopology: { node: nodes, versions: {} },
    weightsManifest: manifest,
  };
  writeFileSync(at(name, 'model.json'), JSON.stringify(json));
}
