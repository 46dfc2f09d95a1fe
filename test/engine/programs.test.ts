import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { compile, type ProgramStore } from '../../src/engine/compile.js';
import { shareConstants } from '../../src/engine/onnx/compactModel.js';
import { PieceSizes } from '../../src/engine/onnx/pieces.js';
import { parseModel } from '../../src/engine/onnx/proto.js';
import { OrtRuntime } from '../../src/engine/onnx/session.js';
import { type GraphLayout, StoredGraph } from '../../src/engine/onnx/storedGraph.js';
import { startEngine } from '../../src/engine/start.js';
import { temporaryFolders } from '../fixtures/pictures.js';

const folder = temporaryFolders();

beforeAll(async () => {
  await startEngine({ engine: 'onnx', threads: 1 });
});

const SIZE = 40;
/** A row-wise function whose intermediate results let about ten rows into a piece. */
function network() {
  const w = tf.variable(tf.randomNormal([3, 3, 2, 16], 0, 1, 'float32', 3)) as tf.Variable<tf.Rank.R4>;
  return (x: tf.Tensor4D) => {
    const y = tf.relu(tf.conv2d(x, w, 1, 'same'));
    return { y: tf.conv2d(y, tf.transpose(w, [0, 1, 3, 2]) as tf.Tensor4D, 1, 'same'), sum: y.sum([1, 2]) };
  };
}
const images = (count: number, size = SIZE) =>
  tf.randomNormal([count, size, size, 2], 0, 1, 'float32', count) as tf.Tensor4D;

describe('graphs for batches of many sizes', () => {
  it('the last, smaller batch of a stream compiles nothing and loses nothing', async () => {
    const fn = network();
    const compiled = compile(fn, { name: 'rows', bake: true, independentRows: true, enabled: true });
    tf.dispose(await compiled(images(24)));
    expect(compiled.programs).toEqual({ held: 1, compiled: 1 });
    for (const count of [24, 7, 1, 23, 9, 24, 2]) {
      const x = images(count);
      const got = await compiled(x);
      const expected = tf.tidy(() => fn(x));
      expect(got.y.shape).toEqual([count, SIZE, SIZE, 2]);
      expect(got.sum.shape).toEqual([count, 16]);
      expect(got.y.dataSync()).toBeNormwiseClose(expected.y.dataSync(), 1e-6);
      expect(got.sum.dataSync()).toBeNormwiseClose(expected.sum.dataSync(), 1e-6);
      tf.dispose([x, got, expected]);
    }
    expect(compiled.programs).toEqual({ held: 1, compiled: 1 });
    compiled.dispose();
  });

  it('a row gets the same numbers to 1e-6 whatever batch it is in', async () => {
    const compiled = compile(network(), { name: 'alone', bake: true, independentRows: true, enabled: true });
    const x = images(11);
    const together = await compiled(x);
    for (const row of [0, 5, 10]) {
      const alone = await compiled(x.slice(row, 1));
      expect(alone.y.dataSync()).toBeNormwiseClose(together.y.slice(row, 1).dataSync(), 1e-6);
      tf.dispose(alone);
    }
    tf.dispose([x, together]);
    compiled.dispose();
  });

  it('are held up to a limit, of many picture sizes too, and tensors do not grow', async () => {
    const compiled = compile(network(), {
      name: 'sizes',
      bake: true,
      independentRows: true,
      enabled: true,
      programLimit: 3,
    });
    const run = async (count: number, size: number): Promise<void> => {
      const x = images(count, size);
      tf.dispose([x, await compiled(x)]);
    };
    await run(2, 8);
    const { numTensors } = tf.memory();
    for (let i = 0; i < 40; i++) await run(1 + (i % 5), 8 + (i % 6));
    expect(compiled.programs.held).toBe(3);
    expect(tf.memory().numTensors).toBe(numTensors);
    compiled.dispose();
  });

  it('of as many picture sizes as may be held are not compiled again and again', async () => {
    const compiled = compile(network(), {
      name: 'mixed',
      bake: true,
      independentRows: true,
      enabled: true,
      programLimit: 3,
    });
    for (let i = 0; i < 60; i++) {
      const x = images(1 + (i % 7), 8 + (i % 3));
      tf.dispose([x, await compiled(x)]);
    }
    expect(compiled.programs).toEqual({ held: 3, compiled: 3 });
    compiled.dispose();
  });
});

describe('the size of a piece', () => {
  it('divides the rows evenly, below the limit', () => {
    const sizes = new PieceSizes(8);
    expect([1, 7, 8, 9, 16, 17, 100].map((rows) => sizes.choose(rows, []))).toEqual([1, 7, 8, 5, 8, 6, 8]);
  });

  it('is a known one at first, its own when it comes again and again', () => {
    const sizes = new PieceSizes(8);
    expect([1, 1, 1, 1].map((rows) => sizes.choose(rows, [6, 8]))).toEqual([6, 6, 6, 1]);
    expect(sizes.choose(5, [6, 8])).toBe(6);
    expect(sizes.choose(7, [6])).toBe(6);
    expect(sizes.choose(7, [3])).toBe(7);
    expect(sizes.choose(6, [6, 8])).toBe(6);
    expect(sizes.choose(15, [5])).toBe(5);
  });

  it('is any known one where no graph may be added', () => {
    const sizes = new PieceSizes(8);
    for (let i = 0; i < 9; i++) expect(sizes.choose(8, [3, 1], true)).toBe(1);
    for (let i = 0; i < 9; i++) expect(sizes.choose(1, [8], true)).toBe(8);
    expect(sizes.choose(2, [], true)).toBe(2);
  });
});

describe('a compiled program that is kept', () => {
  /** A store that writes into a folder. */
  function storeIn(root: string) {
    const written: { path: string; layout: GraphLayout }[] = [];
    let count = 0;
    const store: ProgramStore = {
      pathFor: () => join(root, `${count++}.onnx`),
      written: (path, layout) => written.push({ path, layout }),
    };
    return { store, written };
  }

  it('runs in a later process on plain arrays, with the same numbers', async () => {
    const fn = network();
    const { store, written } = storeIn(folder());
    const compiled = compile(fn, { name: 'kept', bake: true, enabled: true, store });
    const x = images(2);
    const expected = await compiled(x);
    expect(written).toHaveLength(1);
    const [{ path, layout }] = written;
    const runtime = await OrtRuntime.load(1, 'graphs');
    for (const bytes of [readFileSync(path), shareConstants(readFileSync(path))]) {
      const graph = await StoredGraph.open(runtime, bytes, layout);
      const results = await graph.run([x.dataSync()]);
      expect(graph.rows).toBe(2);
      expect(graph.layout.outputs.map(({ name }) => name)).toEqual(['y', 'sum']);
      expect(results[0]).toEqual(expected.y.dataSync());
      expect(results[1]).toEqual(expected.sum.dataSync());
      await graph.dispose();
    }
    tf.dispose([x, expected]);
    compiled.dispose();
  });

  it('that cannot be written runs all the same', async () => {
    const root = folder();
    writeFileSync(join(root, 'file'), '');
    const { store } = storeIn(join(root, 'file', 'none'));
    const compiled = compile(network(), { name: 'unkept', bake: true, enabled: true, store });
    const x = images(1);
    const got = await compiled(x);
    expect(got.sum.shape).toEqual([1, 16]);
    tf.dispose([x, got]);
    compiled.dispose();
    rmSync(root, { recursive: true });
  });

  it('shares constants that ONNX Runtime has copied, and keeps the names of results', async () => {
    const w = tf.variable(tf.randomNormal([3, 3, 16, 16], 0, 0.1, 'float32', 3)) as tf.Variable<tf.Rank.R4>;
    const { store, written } = storeIn(folder());
    const many = compile(
      (x: tf.Tensor4D) => {
        const passes = [1, 2, 3, 4].map((i) => tf.conv2d(tf.mul(x, i) as tf.Tensor4D, w, 1, 'same').square());
        return { sum: tf.addN(passes), constant: tf.add(tf.range(0, 300), 1) };
      },
      { name: 'many', bake: true, enabled: true, store },
    );
    const x = tf.randomNormal([1, 16, 16, 16], 0, 1, 'float32', 5) as tf.Tensor4D;
    const expected = await many(x);
    const whole = readFileSync(written[0].path);
    const shared = shareConstants(whole);
    const large = (bytes: Uint8Array): number =>
      parseModel(bytes).graph?.initializer?.filter(({ rawData }) => (rawData?.length ?? 0) > 9000).length ??
      0;
    expect(large(shared)).toBe(1);
    expect(shared.length).toBeLessThanOrEqual(whole.length);
    const graph = await StoredGraph.open(await OrtRuntime.load(1, 'graphs'), shared, written[0].layout);
    const [sum, constant] = await graph.run([x.dataSync()]);
    expect(sum).toEqual(expected.sum.dataSync());
    expect(constant).toEqual(expected.constant.dataSync());
    await graph.dispose();
    tf.dispose([x, expected]);
    many.dispose();
  });
});
