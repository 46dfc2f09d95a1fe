import { InferenceSession, Tensor } from 'onnxruntime-node';
import { expect, test } from 'vitest';
import { GraphEditor } from '../../../src/engine/onnx/edit.js';
import type { GraphNode, GraphParts, GraphPort } from '../../../src/engine/onnx/graph.js';
import { loopOverColumns } from '../../../src/engine/onnx/loopColumns.js';
import { makeOptional, type OutputGroup } from '../../../src/engine/onnx/optionalOutputs.js';
import { parseModel, serializeModel } from '../../../src/engine/onnx/proto.js';

const float = (name: string, ...dims: (number | string)[]): GraphPort => ({ name, type: 'float32', dims });
const node = (op: string, inputs: string[], output: string, attributes = {}): GraphNode => ({
  op,
  inputs,
  outputs: [output],
  attributes,
});

/** x -> y = 2x always; deep = x[far]; a = y + deep; b = deep - y. Reading place 9 of 3 fails where it is run. */
function failing(): GraphParts {
  const editor = new GraphEditor(
    {
      nodes: [],
      constants: [],
      inputs: [
        float('x', 'n'),
        ...['want_a', 'want_b'].map((name) => ({ name, type: 'bool', dims: [] }) as const),
      ],
      outputs: [float('y', 'n'), float('a', 'n'), float('b', 'n')],
      values: new Map([['deep', { shape: [3], dtype: 'float32' }]]),
    },
    'c',
  );
  editor.node('Gather', ['x', editor.ints(9)], { axis: 0 }, 'deep');
  editor.node('Add', ['x', 'x'], {}, 'y');
  editor.node('Add', ['y', 'deep'], {}, 'a');
  editor.node('Sub', ['deep', 'y'], {}, 'b');
  return editor.parts();
}

const GROUPS: OutputGroup[] = [
  { name: 'a', condition: 'want_a', outputs: ['a'] },
  { name: 'b', condition: 'want_b', outputs: ['b'] },
];

async function run(parts: GraphParts, length: number, a: boolean, b: boolean) {
  const session = await InferenceSession.create(serializeModel(parts, 'test'), { logSeverityLevel: 4 });
  const flag = (on: boolean) => new Tensor('bool', Uint8Array.of(on ? 1 : 0), []);
  const x = new Tensor(
    'float32',
    Float32Array.from({ length }, (_, i) => i),
    [length],
  );
  try {
    const results = await session.run({ x, want_a: flag(a), want_b: flag(b) });
    return Object.fromEntries(
      Object.entries(results).map(([name, { data }]) => [name, Array.from(data as Float32Array)]),
    );
  } finally {
    await session.release();
  }
}

test('what is not asked for is not computed: a node that fails does so only where it is needed', async () => {
  const parts = makeOptional(failing(), GROUPS);
  expect(await run(parts, 3, false, false)).toEqual({ y: [0, 2, 4], a: [], b: [] });
  await expect(run(parts, 3, true, false)).rejects.toThrow();
  await expect(run(parts, 3, false, true)).rejects.toThrow();
});

test('what two groups share is computed for either of them, once', async () => {
  const parts = makeOptional(failing(), GROUPS);
  const y = Array.from({ length: 10 }, (_, i) => 2 * i);
  const a = y.map((v) => v + 9);
  const b = y.map((v) => 9 - v);
  expect(await run(parts, 10, true, false)).toEqual({ y, a, b: [] });
  expect(await run(parts, 10, false, true)).toEqual({ y, a: [], b });
  expect(await run(parts, 10, true, true)).toEqual({ y, a, b });
  const text = JSON.stringify(parseModel(serializeModel(parts, 'test')).toJSON());
  expect(text.match(/"opType":"Gather"/g)).toHaveLength(1);
  expect(parts.nodes.filter(({ op }) => op === 'If')).toHaveLength(3);
});

test('without groups nothing changes', () => {
  const parts = failing();
  expect(makeOptional(parts, []).nodes).toEqual(parts.nodes);
});

test('a loop runs once for each column of a table, for none as for many', async () => {
  const traced: GraphParts = {
    nodes: [
      node('Mul', ['x', 'x'], 'square'),
      node('Cast', ['column'], 'asFloat', { to: 1 }),
      node('Mul', ['square', 'asFloat'], 'scaled'),
    ],
    constants: [],
    inputs: [float('x', 'n'), { name: 'column', type: 'int32', dims: ['n'] }],
    outputs: [float('scaled', 'n')],
  };
  const looped = loopOverColumns(traced, {
    column: 'column',
    table: 'table',
    outputs: ['scaled'],
    dimension: 'columns',
    prefix: 'loop_',
  });
  const editor = new GraphEditor(looped, 'e');
  editor.withoutInput('column');
  editor.input({ name: 'table', type: 'int32', dims: ['n', 'columns'] });
  const session = await InferenceSession.create(serializeModel(editor.parts(), 'test'));
  const x = new Tensor('float32', Float32Array.of(1, 2), [2]);
  for (const columns of [0, 1, 3]) {
    const table = Int32Array.from({ length: 2 * columns }, (_, i) => i);
    const { scaled } = await session.run({ x, table: new Tensor('int32', table, [2, columns]) });
    expect(scaled.dims).toEqual([2, columns]);
    expect([...(scaled.data as Float32Array)]).toEqual(
      Array.from(table, (v, i) => v * (i < columns ? 1 : 4)),
    );
  }
  expect(looped.nodes.filter(({ op }) => op === 'Mul')).toHaveLength(1);
  await session.release();
});

test('a cycle is refused', () => {
  const parts: GraphParts = {
    nodes: [node('Add', ['x', 'b'], 'a'), node('Add', ['x', 'a'], 'b')],
    constants: [],
    inputs: [float('x', 1)],
    outputs: [float('b', 1)],
  };
  expect(() => new GraphEditor(parts, 'e').parts()).toThrow('cycle');
});
