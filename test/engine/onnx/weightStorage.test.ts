import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { fromFloat16, toFloat16 } from '../../../src/core/float16.js';
import { Random } from '../../../src/core/random.js';
import type { GraphConstant, GraphParts } from '../../../src/engine/onnx/graph.js';
import { parseModel, serializeModel } from '../../../src/engine/onnx/proto.js';
import { findDerivation, shareConstants } from '../../../src/engine/onnx/sharedConstants.js';
import { halfScale, roundWeights, storeWeights } from '../../../src/engine/onnx/weightStorage.js';
import { relativeError } from '../../goldens/format.js';

const DIMS = [3, 3, 24, 32];
const SIZE = 3 * 3 * 24 * 32;

function constant(name: string, dims: number[], data: Float32Array): GraphConstant {
  return { name, type: 'float32', dims, data };
}

function weights(seed = 1): Float32Array {
  const random = new Random(seed, 0);
  return Float32Array.from({ length: SIZE }, () => random.uniform(-1, 1) ** 3);
}

/** [a, b, c, d] seen as [c, d, a, b] with a reversed, times factors along b and d. */
function turned(w: Float32Array): Float32Array {
  const [A, B, C, D] = DIMS;
  const out = new Float32Array(w.length);
  let at = 0;
  for (let c = 0; c < C; c++)
    for (let d = 0; d < D; d++)
      for (let a = 0; a < A; a++)
        for (let b = 0; b < B; b++)
          out[at++] = w[(((A - 1 - a) * B + b) * C + c) * D + d] * (1 + b / 7) * (d % 2 === 0 ? -2 : 0.3);
  return out;
}

/** A graph whose outputs are its constants. */
function graphOf(...constants: GraphConstant[]): GraphParts {
  return {
    nodes: constants.map(({ name }) => ({
      op: 'Identity',
      inputs: [name],
      outputs: [`${name}_out`],
      attributes: {},
    })),
    constants,
    inputs: [{ name: 'unused', type: 'float32', dims: [1] }],
    outputs: constants.map(({ name, dims }) => ({ name: `${name}_out`, type: 'float32', dims })),
  };
}

async function valuesOf(parts: GraphParts): Promise<Record<string, Float32Array>> {
  const session = await InferenceSession.create(serializeModel(parts, 'test'));
  const results = await session.run({ unused: new Tensor('float32', Float32Array.of(0), [1]) });
  await session.release();
  return Object.fromEntries(Object.entries(results).map(([name, { data }]) => [name, data as Float32Array]));
}

function storedBytes(parts: GraphParts): number {
  return serializeModel(parts, 'test').length;
}

describe('arrays that come of one another', () => {
  const w = weights();
  const a = constant('a', DIMS, w);
  const b = constant('b', [24, 32, 3, 3], turned(w));

  it('are stored once and made again in the graph', async () => {
    const shared = shareConstants(graphOf(a, b));
    expect(storedBytes(shared)).toBeLessThan(1.1 * w.byteLength);
    const values = await valuesOf(shared);
    expect(values.a_out).toEqual(w);
    expect(values.b_out).toBeNormwiseClose(b.data as Float32Array, 3e-7);
  });

  it('are found where elements are 0, as rounding makes them', () => {
    const holes = w.map((v, i) => (i % 3 === 0 ? 0 : v));
    expect(
      findDerivation(constant('a', DIMS, holes), constant('b', [24, 32, 3, 3], turned(holes))),
    ).not.toBeNull();
  });

  it('are not invented', () => {
    const other = weights(2);
    expect(findDerivation(a, constant('b', DIMS, other))).toBeNull();
    const touched = w.slice();
    touched[1234] *= 1.001;
    expect(findDerivation(a, constant('b', DIMS, touched))).toBeNull();
    expect(findDerivation(a, constant('b', [3, 3, 32, 24], w))).toBeNull();
    expect(findDerivation(a, constant('b', [3, 3, 1, 24, 32], w))).not.toBeNull();
  });

  it('come of originals that the graph itself no longer holds', async () => {
    const shared = shareConstants(graphOf(b), [a]);
    expect(shared.constants.map(({ name }) => name)).toContain('a');
    expect((await valuesOf(shared)).b_out).toBeNormwiseClose(b.data as Float32Array, 3e-7);
  });
});

describe('stored weights', () => {
  const names = new Set(['a', 'b']);

  it.each([
    ['f16', 5e-4, 2.1],
    ['int8', 2e-2, 1.1],
  ] as const)('%s: near the weights, the same in every form', async (storage, limit, bytesEach) => {
    const w = weights();
    const given = graphOf(constant('a', DIMS, w), constant('b', [24, 32, 3, 3], turned(w)));
    const rounded = roundWeights(given, storage);
    const stored = storeWeights(shareConstants(rounded), storage, names);
    expect(storedBytes(stored)).toBeLessThan(bytesEach * SIZE + 4096);
    const values = await valuesOf(stored);
    const error = relativeError(values.a_out, w);
    expect(error).toBeLessThan(limit);
    expect(error).toBeGreaterThan(0);
    expect(values.b_out).toBeNormwiseClose(turned(values.a_out), 3e-7);
    rounded.constants.forEach((one) => {
      expect(values[`${one.name}_out`]).toBeNormwiseClose(one.data as Float32Array, 3e-7);
    });
  });

  it('f16 keeps normalised filters of float16 weights without loss', async () => {
    const half = fromFloat16(toFloat16(weights()));
    const filters = half.map((v, i) => v * (0.1 + (i % 32) / 9));
    const stored = storeWeights(graphOf(constant('a', DIMS, filters)), 'f16', names);
    expect((await valuesOf(stored)).a_out).toBeNormwiseClose(filters, 2e-7);
    expect(parseModel(serializeModel(stored, 'test')).graph?.initializer?.[0].dataType).toBe(10);
  });

  it('finds no factor where there is none, and 1 for zeros', () => {
    expect(halfScale(weights().slice(0, 200))).toBe(1);
    expect(halfScale(new Float32Array(5))).toBe(1);
    const values = Float32Array.of(0.5, 0.25, 0.123046875).map((v) => v * 0.777);
    expect(Math.log2(values[0] / halfScale(values)) % 1).toBeCloseTo(0, 5);
  });

  it('leaves zero filters, small arrays and f32 as they are', async () => {
    const w = weights().map((v, i) => (i % 32 === 5 ? 0 : v));
    const parts = graphOf(
      constant('a', DIMS, w),
      constant(
        'small',
        [4, 4],
        Float32Array.from({ length: 16 }, (_, i) => i / 3),
      ),
    );
    expect(storeWeights(parts, 'f32', names)).toBe(parts);
    expect(roundWeights(parts, 'f32')).toBe(parts);
    for (const storage of ['f16', 'int8'] as const) {
      const values = await valuesOf(storeWeights(parts, storage, names));
      expect(values.a_out.filter((_, i) => i % 32 === 5).every((v) => v === 0)).toBe(true);
      expect(values.small_out).toEqual(parts.constants[1].data);
    }
  });
});
