import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ConceptGraph } from '../../../../src/explain/concepts/graph/graph.js';
import { regionBox, regionName, regionSums } from '../../../../src/explain/concepts/graph/graph.js';
import { HopCheck, hopError, worstHop } from '../../../../src/explain/concepts/graph/graphHops.js';
import { graphImages, graphOfImage } from '../../../../src/explain/concepts/graph/graphImage.js';
import { graphArticle } from '../../../../src/explain/concepts/graph/graphPage.js';
import {
  GraphPass,
  type ImageTraces,
  type ImageWeights,
} from '../../../../src/explain/concepts/graph/graphPass.js';
import { drawGraph } from '../../../../src/explain/concepts/graph/graphPicture.js';
import { GraphSums, largestConcepts } from '../../../../src/explain/concepts/graph/graphSums.js';
import { escapeXml } from '../../../../src/explain/concepts/graph/graphSvg.js';
import { graphsToGraphMl, graphToDot } from '../../../../src/explain/concepts/graph/graphText.js';
import type { Sae } from '../../../../src/explain/sae.js';
import type { BcosModel } from '../../../../src/models/bcosModel.js';
import { useEngine } from '../../../engine.js';
import { randomImage as imageOf, smallModel as modelOf, randomSae } from '../../fixtures.js';

useEngine();

const TOLERANCE = 1e-5;
const SIZE = 16;

const randomImage = (seed: number) => imageOf(seed, null, SIZE);

const smallModel = (options: Parameters<typeof modelOf>[0] = {}): BcosModel =>
  modelOf({ inputSize: SIZE, preprocessing: { resize: SIZE, crop: [SIZE, SIZE] }, ...options });

/** Sum of what flows into each node, and of each column with the constants of those above it. */
function checkSums(graph: ConceptGraph, error = 1e-4): void {
  const scale = Math.max(...graph.nodes.map(({ contribution }) => Math.abs(contribution)));
  for (const node of graph.nodes) {
    const into = graph.edges.filter(({ to }) => to === node.id);
    if (into.length === 0) continue;
    const sum = into.reduce((total, edge) => total + edge.contribution, 0);
    expect(Math.abs(sum - node.contribution) / scale).toBeLessThan(error);
    expect(into.reduce((total, edge) => total + edge.share, 0)).toBeCloseTo(1, 6);
  }
  const columns = Math.max(...graph.nodes.map(({ column }) => column));
  for (let c = Math.min(...graph.nodes.map(({ column }) => column)); c <= columns; c++) {
    const standing = graph.nodes.filter(
      ({ column, kind }) => column === c || (kind === 'constant' && column > c),
    );
    const own = standing.filter(({ kind, column }) => column === c || kind === 'constant');
    expect(own.reduce((sum, node) => sum + node.share, 0)).toBeCloseTo(1, 5);
    const score = own.reduce((sum, node) => sum + node.contribution, 0);
    expect(Math.abs(score - graph.score) / scale).toBeLessThan(error);
  }
}

describe('concept graphs', () => {
  let model: BcosModel;
  let saes: Sae[];
  let pass: GraphPass;
  const options = () => ({ spec: model.spec, top: 3, tolerance: TOLERANCE });

  beforeAll(() => {
    model = smallModel();
    saes = [randomSae(model, 'layer3', 48, 4), randomSae(model, 'layer2', 40, 5, 2)];
    pass = new GraphPass(model, saes, { imageSize: [SIZE, SIZE], batchSize: 2 });
  });
  afterAll(() => {
    pass.dispose();
    for (const sae of saes) sae.dispose();
    model.dispose();
  });

  it('sorts the autoencoders by depth', () => {
    expect(pass.levels.map(({ tap }) => tap)).toEqual(['layer2', 'layer3']);
  });

  it('adds up at every hop of an image, in logits and in presence', async () => {
    const { graph } = await graphOfImage(pass, randomImage(1), 2, options());
    expect(graph.hops.map(({ to, from, unit }) => `${to} ${from} ${unit}`)).toEqual([
      'class layer3 logits',
      'layer3 layer2 presence',
      'layer3 layer2 logits',
      'layer2 pixels presence',
      'layer2 pixels logits',
    ]);
    for (const hop of graph.hops) {
      expect(hop.sums).toBeGreaterThan(0);
      expect(hop.worst).toBeLessThanOrEqual(TOLERANCE);
      expect(hop.ofMeans).toBeLessThanOrEqual(TOLERANCE);
      expect(hop.holds).toBe(true);
    }
    expect(graph.target).toEqual({ index: 2, name: 'volleyball' });
    checkSums(graph);
  });

  it('makes a late concept of early ones: the edges into it add up to its presence', async () => {
    const { graph } = await graphOfImage(pass, randomImage(2), null, options());
    const late = graph.nodes.filter(({ kind, tap }) => kind === 'concept' && tap === 'layer3');
    expect(late.length).toBeGreaterThan(1);
    for (const node of late) {
      const into = graph.edges.filter(({ to }) => to === node.id);
      const sum = into.reduce((total, { presence }) => total + (presence ?? 0), 0);
      expect(sum).toBeCloseTo(node.presence ?? Number.NaN, 3);
    }
  });

  it('asks for the highest score where no class is named', async () => {
    const { graph, scores } = await graphOfImage(pass, randomImage(3), null, options());
    expect(scores[graph.target.index]).toBe(Math.max(...scores));
    expect(graph.score).toBeCloseTo(scores[graph.target.index], 5);
  });

  it('gives the same compiled and operation by operation', async () => {
    const eager = new GraphPass(model, saes, { imageSize: [SIZE, SIZE], batchSize: 1, compile: false });
    const [a, b] = [
      await graphOfImage(pass, randomImage(4), 1, options()),
      await graphOfImage(eager, randomImage(4), 1, options()),
    ];
    eager.dispose();
    expect(a.graph.nodes.map(({ id }) => id)).toEqual(b.graph.nodes.map(({ id }) => id));
    expect(a.graph.edges.map((e) => e.contribution)).toBeNormwiseClose(
      b.graph.edges.map((e) => e.contribution),
      1e-5,
    );
  });

  it('is for several images the mean of theirs, term by term', async () => {
    const target = 3;
    const images = [randomImage(5), randomImage(6), randomImage(7)];
    const sums = new GraphSums(pass, { ...options(), target, hasRegions: false });
    const weights: ImageWeights[] = [];
    for (const image of images) weights.push((await pass.weigh(graphImages(image), target))[0]);
    weights.forEach((one, i) => {
      sums.addWeights(images[i].name, one);
    });
    const ids = sums.choose();
    const traces: ImageTraces[][] = [];
    for (const image of images) traces.push((await pass.trace(graphImages(image), target, ids))[0]);
    traces.forEach((one, i) => {
      sums.addTraces(images[i].name, one);
    });
    const graph = sums.graph();
    checkSums(graph);
    expect(graph.images).toBe(3);
    expect(graph.score).toBeCloseTo(weights.reduce((s, w) => s + w.scores[target], 0) / 3, 5);
    expect(graph.hops.every(({ holds }) => holds)).toBe(true);
    expect(graph.hops[0].sums).toBe(3);
    const [latest] = ids[1];
    const edge = graph.edges.find(({ from, to }) => from === `layer3/${latest}` && to === 'class');
    const mean = weights.reduce((s, w) => s + w.contributions[1][latest], 0) / 3;
    expect(edge?.contribution).toBeCloseTo(mean, 6);
    const means = ids[1].map((id) => Math.abs(weights.reduce((s, w) => s + w.contributions[1][id], 0)));
    expect([...means].sort((a, b) => b - a)).toEqual(means);
    const early = ids[0][0];
    const traced = graph.edges.find(
      ({ from, to }) => from === `layer2/${early}` && to === `layer3/${latest}`,
    );
    const tracedMean = traces.reduce((s, t) => s + t[1].logits[early], 0) / 3;
    expect(traced?.contribution ?? 0).toBeCloseTo(tracedMean, 6);
  });

  it('takes a batch and a single image alike', async () => {
    const pair = new Float32Array(2 * SIZE * SIZE * 3);
    const [a, b] = [graphImages(randomImage(8)), graphImages(randomImage(9))];
    pair.set(a.values);
    pair.set(b.values, a.values.length);
    const both = await pass.weigh({ values: pair, count: 2 }, 1);
    const [second] = await pass.weigh(b, 1);
    expect(both[1].contributions[0]).toBeNormwiseClose(second.contributions[0], 1e-6);
    expect(both[1].map).toBeNormwiseClose(second.map, 1e-6);
  });

  it('does not hold where a term is missing or no number', () => {
    expect(hopError({ left: 1, terms: [0.5], constants: [] })).toBe(1);
    expect(hopError({ left: 1, terms: [0.5, 0.25], constants: [0.25] })).toBe(0);
    expect(hopError({ left: 1, terms: [0.5], constants: [], absolute: 5 })).toBeCloseTo(0.1, 12);
    expect(hopError({ left: Number.NaN, terms: [1], constants: [] })).toBe(Number.POSITIVE_INFINITY);
  });

  it('says so of a sum that is no number, also when read back from a file', () => {
    const check = new HopCheck('class', 'layer2', 'logits', 1e-5);
    check.add('a.png', { left: 1, terms: [Number.NaN], constants: [] });
    check.addMean({ left: 1, terms: [Number.NaN], constants: [] });
    const hop = check.result();
    expect(JSON.parse(JSON.stringify(hop))).toEqual(hop);
    expect(hop).toMatchObject({ worst: null, ofMeans: null, holds: false });
    const whole = { ...hop, from: 'layer1', worst: 0.1, ofMeans: 0.1 };
    expect(worstHop([whole, hop, whole])).toBe(hop);
    const graph: ConceptGraph = {
      target: { index: 0, name: 'x' },
      images: 1,
      score: 1,
      bias: 0,
      taps: ['layer1', 'layer2'],
      nodes: [],
      edges: [],
      hops: [whole, hop],
    };
    const subject = { kind: 'class' as const, name: 'x', examples: {} };
    expect(graphArticle(subject, graph, 'pictures/x.svg', null)).toContain('Infinity');
  });

  it('goes through three autoencoders as through two', async () => {
    const three = [...saes, randomSae(model, 'layer1', 24, 4, 3)];
    const chain = new GraphPass(model, three, { imageSize: [SIZE, SIZE], batchSize: 1 });
    const { graph } = await graphOfImage(chain, randomImage(10), null, options());
    expect(graph.taps).toEqual(['layer1', 'layer2', 'layer3']);
    expect(graph.hops).toHaveLength(7);
    expect(graph.hops.every(({ holds }) => holds)).toBe(true);
    checkSums(graph);
    chain.dispose();
    three[2].dispose();
  });

  it('books the constants of a network as nodes, so that the sums hold with them', async () => {
    const biased = smallModel({ norm: 'bn', normParameters: 'affine' });
    const taps = ['layer2', 'layer3'].map((tap, i) => randomSae(biased, tap, 40, 5, i));
    tf.tidy(() => {
      for (const { name, variable } of biased.stateDict()) {
        if (!/bias$|running_mean$/.test(name)) continue;
        const values = Float32Array.from({ length: variable.size }, (_, i) => 0.1 * Math.sin(i + 1));
        variable.assign(tf.tensor(values, variable.shape));
      }
    });
    const chain = new GraphPass(biased, taps, { imageSize: [SIZE, SIZE], batchSize: 1 });
    expect(chain.constants.flat().length).toBeGreaterThan(0);
    const { graph } = await graphOfImage(chain, randomImage(11), null, options());
    expect(graph.nodes.some(({ kind }) => kind === 'constant')).toBe(true);
    expect(graph.hops.every(({ holds }) => holds)).toBe(true);
    checkSums(graph);
    chain.dispose();
    for (const sae of taps) sae.dispose();
    biased.dispose();
  });

  it('takes autoencoders whose activations count above a threshold only', async () => {
    const plain = randomSae(model, 'layer3', 48, 8);
    const above: Sae = { ...plain, threshold: 0.05 };
    const chain = new GraphPass(model, [above, saes[1]], { imageSize: [SIZE, SIZE], batchSize: 1 });
    const { graph } = await graphOfImage(chain, randomImage(14), null, options());
    expect(graph.hops.every(({ holds }) => holds)).toBe(true);
    checkSums(graph);
    chain.dispose();
    plain.dispose();
  });

  it('keeps no tensor', async () => {
    await graphOfImage(pass, randomImage(12), null, options());
    const before = tf.memory().numTensors;
    for (let i = 0; i < 3; i++) await graphOfImage(pass, randomImage(12 + i), null, options());
    expect(tf.memory().numTensors).toBe(before);
  });

  it('refuses a network that is no B-cos network', () => {
    expect(
      () =>
        new GraphPass({ ...model, spec: { ...model.spec, kind: 'standard' } } as BcosModel, saes, {
          imageSize: [SIZE, SIZE],
          batchSize: 1,
        }),
    ).toThrowError(expect.objectContaining({ code: 'E_EXPLAIN_STANDARD' }));
  });

  it('draws every node and edge, and writes them for other tools', async () => {
    const { graph } = await graphOfImage(pass, randomImage(13), 0, options());
    const svg = drawGraph(graph, { title: 'Why <tabby>?', subtitle: 'a & b', tiles: new Map() });
    expect(svg).toContain('Why &#60;tabby&#62;?');
    expect(svg.match(/<title>/g)?.length).toBeGreaterThanOrEqual(graph.nodes.length + graph.edges.length);
    expect(svg).not.toContain('NaN');
    const dot = graphToDot(graph, 'a "quoted" name');
    expect(dot.startsWith('digraph "a \\"quoted\\" name" {')).toBe(true);
    expect(dot.match(/ -> /g)).toHaveLength(graph.edges.length);
    const xml = graphsToGraphMl([
      { name: 'one', graph },
      { name: 'two', graph },
    ]);
    expect(xml.match(/<edge /g)).toHaveLength(2 * graph.edges.length);
    const concepts = graph.nodes.filter(({ kind }) => kind === 'concept').length;
    expect(xml.match(/<node /g)).toHaveLength(concepts + 2 * (graph.nodes.length - concepts));
  });
});

it('writes any name as text that XML can hold', () => {
  expect(escapeXml('a<b> & "c" \'d\'')).toBe('a&#60;b&#62; &#38; &#34;c&#34; &#39;d&#39;');
  expect(escapeXml('\u0000\u001b[31m\ud83d \uffff')).toBe('\ufffd\ufffd[31m\ufffd \ufffd');
  expect(escapeXml('Käse\t😀\n')).toBe('Käse\t😀\n');
});

describe('regions', () => {
  it('cover a picture of any size once', () => {
    for (const [height, width] of [
      [32, 32],
      [7, 5],
      [64, 50],
    ] as const) {
      const seen = new Uint8Array(height * width);
      for (let r = 0; r < 9; r++) {
        const box = regionBox(r, height, width);
        for (let y = box.top; y < box.bottom; y++)
          for (let x = box.left; x < box.right; x++) seen[y * width + x]++;
        const map = new Float32Array(height * width);
        map.fill(1);
        const sums = regionSums(map, height, width);
        expect(sums[r]).toBe((box.bottom - box.top) * (box.right - box.left));
      }
      expect([...seen].every((n) => n === 1)).toBe(true);
    }
  });

  it('have names', () => {
    expect([0, 1, 4, 5, 6, 8].map(regionName)).toEqual([
      'top left',
      'top',
      'centre',
      'right',
      'bottom left',
      'bottom right',
    ]);
  });
});

it('chooses the largest of either sign, ties by number', () => {
  expect(largestConcepts([1, -3, 2, 3, 0], 3)).toEqual([1, 3, 2]);
});
