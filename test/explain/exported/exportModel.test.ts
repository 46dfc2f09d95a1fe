import { readFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseModel } from '../../../src/engine/onnx/proto.js';
import { Explainer } from '../../../src/explain/explainer.js';
import { checkExport, worstLedgerError } from '../../../src/explain/exported/check.js';
import { type ExportSource, exportModel } from '../../../src/explain/exported/exportModel.js';
import type { ExportedFile } from '../../../src/explain/exported/file.js';
import { createModel } from '../../../src/models/createModel.js';
import { tensorGrowth } from '../../engine.js';
import { CLASS_NAMES, randomImage, randomSae, SIZE, smallModel } from '../fixtures.js';
import { useOnnx } from './engine.js';
import { ALL, planesOf, rowOf, useExports } from './fixtures.js';

useOnnx();
const exports = useExports();

/** A small network with two autoencoders. */
function makeSource(): ExportSource & { dispose(): void } {
  const model = smallModel({ logitBias: -1.5 });
  const sae = randomSae(model, 'layer3');
  const early = randomSae(model, 'layer1', 32, 3, 2);
  const dispose = (): void => {
    for (const one of [sae, early, model]) one.dispose();
  };
  return { model, sae, early, dispose };
}

describe('an exported explanation', () => {
  let source: ReturnType<typeof makeSource>;
  let file: ExportedFile;
  beforeAll(async () => {
    source = makeSource();
    file = await exports.open(source);
  });
  afterAll(() => source.dispose());

  it('gives what the explainer gives', async () => {
    const images = [randomImage(1), randomImage(2)];
    const explainer = new Explainer(source.model as never, source.sae, { early: source.early, top: 4 });
    const explained = await explainer.explain(images);
    explainer.dispose();
    const outputs = await file.run(planesOf([1, 2]), { want: ALL, concepts: [[-1, -2, -3, -4]] });
    explained.forEach((e, i) => {
      expect(rowOf(outputs.logits, i)).toBeNormwiseClose(e.logits, 1e-5);
      expect(outputs.predicted.data[i]).toBe(e.predicted.index);
      expect(rowOf(outputs.logits_alone, i)[e.predictedAlone.index]).toBeCloseTo(e.predictedAlone.logit, 5);
      expect(rowOf(outputs.class_map, i)).toBeNormwiseClose(e.map.values, 1e-5);
      expect([...rowOf(outputs.concept_ids, i)]).toEqual(e.concepts.map((c) => c.concept));
      const [contributions, presence] = [outputs.contributions, outputs.presence].map((o) => rowOf(o, i));
      const maps = rowOf(outputs.concept_maps, i);
      e.concepts.forEach((c, j) => {
        expect(contributions[c.concept]).toBeCloseTo(c.contribution, 5);
        expect(presence[c.concept]).toBeCloseTo(c.presence, 4);
        const map = maps.slice(j * SIZE * SIZE, (j + 1) * SIZE * SIZE);
        expect(map).toBeNormwiseClose(c.map?.values ?? [], 1e-5);
        const traces = rowOf(outputs.traces, i).slice(j * 32, (j + 1) * 32);
        for (const made of c.madeOf) expect(traces[made.concept]).toBeCloseTo(made.contribution, 4);
      });
    });
  });

  it('gives what its program gives operation by operation, and closes its ledgers', async () => {
    const { pixels, height, width } = randomImage(3);
    const check = await checkExport(file, source, { data: pixels, height, width });
    expect(Object.keys(check.differences)).toHaveLength(15);
    expect(check.largestDifference).toBeLessThanOrEqual(1e-5);
    expect(check.largestLedgerError).toBeLessThanOrEqual(1e-5);
    expect(check.largestLedgerError).toBeGreaterThan(0);
  });

  it('closes ledgers that say what they are about', async () => {
    const outputs = await file.run(planesOf([4]), { want: ALL, concepts: [[5, 9]] });
    const [left, sum, residual, error] = outputs.ledger_contributions.data;
    const total = Array.from(outputs.contributions.data).reduce((a, b) => a + b, 0);
    expect(sum).toBeCloseTo(total, 5);
    expect(left).toBeCloseTo(Math.max(...outputs.logits.data) + 1.5, 5);
    expect(residual).toBeCloseTo(left - sum, 12);
    expect(error).toBeLessThanOrEqual(1e-5);
    expect(outputs.bias_terms.data[0]).toBe(-1.5);
    expect(outputs.ledger_concept_maps.dims).toEqual([1, 2, 4]);
    expect(outputs.ledger_concept_maps.data[4]).toBe(outputs.presence.data[9]);
    expect(worstLedgerError(outputs)).toBeLessThanOrEqual(1e-5);
  });

  it('explains any combination of classes: A less B is the difference of A and B', async () => {
    const one = (entries: readonly (readonly [number, number])[]) => {
      const row = new Float32Array(CLASS_NAMES.length);
      for (const [index, weight] of entries) row[index] = weight;
      return file.run(planesOf([1]), { want: ALL.slice(0, 2), classWeights: [row] });
    };
    const [a, b, both] = [
      await one([[0, 1]]),
      await one([[3, 1]]),
      await one([
        [0, 1],
        [3, -1],
      ]),
    ];
    for (const name of ['contributions', 'class_map', 'class_gradient']) {
      const expected = Float32Array.from(a[name].data, (v, i) => v - b[name].data[i]);
      expect(both[name].data).toBeNormwiseClose(expected, 1e-5);
    }
    expect(both.bias_terms.data[0]).toBeCloseTo(0, 12);
  });

  it('takes the answered class where all weights are 0, for each image by itself', async () => {
    const images = planesOf([1, 2, 3]);
    const free = await file.run(images, { want: ['want_contributions'] });
    const oneHot = Array.from(free.predicted.data, (index) =>
      Float32Array.from(CLASS_NAMES, (_, i) => (i === index ? 1 : 0)),
    );
    oneHot[1] = new Float32Array(CLASS_NAMES.length);
    const asked = await file.run(images, { want: ['want_contributions'], classWeights: oneHot });
    expect(asked.contributions.data).toEqual(free.contributions.data);
  });

  it('finds concepts by rank', async () => {
    const outputs = await file.run(planesOf([6, 7]), {
      want: ['want_contributions', 'want_concept_maps'],
      concepts: [
        [-1, 11, -3],
        [-2, -1, 0],
      ],
    });
    const ranked = [0, 1].map((i) => {
      const sizes = Array.from(rowOf(outputs.contributions, i), Math.abs);
      return sizes.map((_, c) => c).sort((a, b) => sizes[b] - sizes[a] || a - b);
    });
    const expected = [ranked[0][0], 11, ranked[0][2], ranked[1][1], ranked[1][0], 0];
    expect([...outputs.concept_ids.data]).toEqual(expected);
  });

  it('gives each image what it gets alone, in any batch', async () => {
    const seeds = [1, 2, 3, 4, 5];
    const request = { want: ALL, concepts: [[3, -1]] };
    const together = await file.run(planesOf(seeds), request);
    const backwards = await file.run(planesOf(seeds.toReversed()), request);
    for (const [i, seed] of seeds.entries()) {
      const alone = await file.run(planesOf([seed]), request);
      for (const name of file.outputNames.filter((output) => !output.startsWith('ledger'))) {
        expect(rowOf(together[name], i), name).toBeNormwiseClose(alone[name].data, 1e-6);
        expect(rowOf(backwards[name], 4 - i), name).toBeNormwiseClose(alone[name].data, 1e-6);
      }
    }
  });

  it('has 0 rows of what is not asked for, and the same bits of what is', async () => {
    const images = planesOf([1, 2]);
    const all = await file.run(images, { want: ALL, concepts: [[1, 2]] });
    const asked: Record<string, string> = JSON.parse(file.metadata.outputs);
    const flagOf = (name: string): string | null =>
      (asked[name] as unknown as { wanted_by: string | null }).wanted_by;
    for (const wish of [null, ...ALL]) {
      const some = await file.run(images, { want: wish === null ? [] : [wish], concepts: [[1, 2]] });
      for (const name of file.outputNames) {
        const isThere = flagOf(name) === null || flagOf(name) === wish;
        if (isThere) expect(some[name], `${wish}: ${name}`).toEqual(all[name]);
        else expect(some[name].dims[0], `${wish}: ${name}`).toBe(0);
      }
    }
  });

  it('takes any number of concepts, none among them', async () => {
    const none = await file.run(planesOf([1, 2]), { want: ALL, concepts: [[]] });
    expect(none.concept_maps.dims).toEqual([2, 0, SIZE, SIZE]);
    expect(none.ledger_traces.dims).toEqual([2, 0, 4]);
    expect(none.contributions.dims).toEqual([2, 64]);
    const many = await file.run(planesOf([1]), {
      want: ALL,
      concepts: [Array.from({ length: 20 }, (_, i) => i)],
    });
    expect(many.concept_maps.dims).toEqual([1, 20, SIZE, SIZE]);
  });

  it('says in its metadata what it is', () => {
    const { metadata } = file;
    expect(JSON.parse(metadata.class_names)).toEqual(CLASS_NAMES);
    expect(JSON.parse(metadata.taps)).toEqual(['layer3', 'layer1']);
    expect(JSON.parse(metadata.autoencoders)[0]).toMatchObject({
      tap: 'layer3',
      concepts: 64,
      k: 4,
      grid: [8, 8],
    });
    expect(JSON.parse(metadata.input)).toMatchObject({
      layout: 'NCHW',
      height: SIZE,
      width: SIZE,
      batch: 'any',
    });
    expect(JSON.parse(metadata.ledger_columns)).toHaveLength(4);
    expect(Object.keys(JSON.parse(metadata.outputs)).sort()).toEqual([...file.outputNames].sort());
    expect(metadata.weights).toBe('f32');
    expect(metadata.producer).toBe('fact-tfjs test');
  });

  it('is the same file every time, and leaves no tensor', async () => {
    const growth = await tensorGrowth(() => {
      const [a, b] = [0, 1].map(() => exportModel(source, { packageVersion: 'test' }).bytes);
      expect(Buffer.compare(a, b)).toBe(0);
    });
    expect(growth).toBe(0);
  });

  it('is no file of another engine', async () => {
    await tf.setBackend('cpu');
    expect(() => exportModel(source, { packageVersion: 'test' })).toThrowError(
      expect.objectContaining({ code: 'E_EXPORT_ENGINE' }),
    );
    await tf.setBackend('onnx');
  });
});

describe('other files', () => {
  let source: ReturnType<typeof makeSource>;
  beforeAll(() => {
    source = makeSource();
  });
  afterAll(() => source.dispose());
  const photo = { data: randomImage(1, null, 50).pixels, height: 50, width: 50 };

  it.each([
    ['pixels only', {}],
    ['logits', { kind: 'predict' }],
    ['features', { kind: 'features', taps: ['layer1', 'layer3'] }],
    ['a fixed batch', { batch: 1 }],
    ['another size', { size: [24, 40] }],
    ['photographs as bytes', { input: 'uint8' }],
    ['no ledgers', { ledgers: false }],
  ] as const)('%s: as their program', async (name, options) => {
    const own = name === 'pixels only' ? { ...source, sae: null, early: null } : source;
    const file = await exports.open(own, options);
    const check = await checkExport(file, own, photo);
    expect(check.largestDifference).toBeLessThanOrEqual(1e-5);
    expect(check.largestLedgerError).toBeLessThanOrEqual(1e-5);
    const types = (parseModel(readFileSync(file.path)).graph?.output ?? []).map(
      (o) => o.type?.tensorType?.elemType,
    );
    expect(types.includes(11)).toBe('kind' in options === false && 'ledgers' in options === false);
  });

  it('prepare photographs bit for bit as the evaluation does', async () => {
    const file = await exports.open(source, { input: 'uint8' });
    for (const size of [20, 32, 77]) {
      const { pixels } = randomImage(size, null, size);
      const { differences } = await checkExport(file, source, { data: pixels, height: size, width: size });
      expect(differences.prepared).toBe(0);
    }
  });

  it('with weights of half and of a quarter the size keep every sum', async () => {
    const wide = smallModel({ width: 24 });
    const sae = randomSae(wide, 'layer3', 128);
    const own = { model: wide, sae, early: null };
    const files = [];
    for (const weights of ['f32', 'f16', 'int8'] as const) files.push(await exports.open(own, { weights }));
    const results = [];
    for (const file of files)
      results.push(
        await file.run(planesOf([1, 2]), { want: ALL.filter((w) => w !== 'want_traces'), concepts: [[-1]] }),
      );
    for (const outputs of results) expect(worstLedgerError(outputs)).toBeLessThanOrEqual(1e-5);
    const [, half, byte] = results;
    expect(half.logits.data).toBeNormwiseClose(results[0].logits.data, 1e-2);
    expect(byte.logits.data).not.toEqual(results[0].logits.data);
    sae.dispose();
    wide.dispose();
  });
});

describe('networks of other kinds', () => {
  const vit = { width: 16, depth: 1, heads: 2, headDim: 8, mlpDim: 32, patch: 8 };
  it.each([
    ['cifar10_resnet_20', { width: 8, blocks: [1, 1, 1], norm: 'bn', normParameters: 'affine' }],
    [
      'cifar10_resnet_20',
      { width: 8, blocks: [1, 1, 1], b: 1.5, maxOut: 2, norm: 'gn', normParameters: 'affine' },
    ],
    ['vgg', { stages: [[8], [8, 8]], hidden: 16 }],
    ['densenet', { width: 8, growth: 4, bottleneck: 2, blocks: [2, 2] }],
    ['simple_vit', vit],
  ] as const)('%s %j', async (arch, options) => {
    const model = createModel(arch, {
      numClasses: 5,
      inputSize: SIZE,
      preprocessing: { resize: SIZE, crop: [SIZE, SIZE] },
      seed: 3,
      ...options,
    } as Parameters<typeof createModel>[1]);
    const sae = randomSae(model, model.spec.taps[model.spec.taps.length - 1], 48, 4);
    const source = { model, sae, early: null };
    const file = await exports.open(source);
    const { pixels } = randomImage(1);
    const check = await checkExport(file, source, { data: pixels, height: SIZE, width: SIZE });
    expect(check.largestDifference).toBeLessThanOrEqual(1e-5);
    expect(check.largestLedgerError).toBeLessThanOrEqual(1e-5);
    const names = JSON.parse(file.metadata.map_bias_terms) as string[];
    expect(file.outputNames.includes('class_map_bias_terms')).toBe(names.length > 0);
    sae.dispose();
    model.dispose();
  });
});
