import { linkSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import onnxProto from 'onnx-proto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ConvertOptions, convertCheckpoint } from '../../src/convert/convertCheckpoint.js';
import { parseCheckpoint, readCheckpoint } from '../../src/convert/readCheckpoint.js';
import { useEngine } from '../engine.js';

useEngine('cpu');

const { ModelProto } = onnxProto.onnx;
type Model = onnxProto.onnx.IModelProto;

const fixture = (name: string): string => fileURLToPath(new URL(`./fixtures/${name}`, import.meta.url));
const hasRuntime = await import('onnxruntime-node').then(
  () => true,
  () => false,
);

let folder: string;
const at = (name: string): string => join(folder, name);
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'fact-onnx-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const SHAPES: Record<string, ConvertOptions> = {
  bcos: { arch: 'resnet', set: { width: 4, blocks: [1, 1], stem: 'cifar', numClasses: 3, inputSize: 16 } },
  standard: { arch: 'torchvision_resnet', set: { width: 4, blocks: [1, 1], numClasses: 3, inputSize: 16 } },
};

describe('ONNX files of PyTorch', () => {
  it.skipIf(!hasRuntime).each([
    ['bcos_legacy', 'bcos'],
    ['bcos_unfolded', 'bcos'],
    ['bcos_dynamo', 'bcos'],
    ['standard_legacy', 'standard'],
    ['standard_unfolded', 'standard'],
    ['standard_dynamo', 'standard'],
  ])(
    '%s become networks that compute what the file computes (needs onnxruntime-node)',
    async (name, kind) => {
      const report = await convertCheckpoint(fixture(`${name}.onnx`), at(name), SHAPES[kind]);
      const [random] = report.parity?.original ?? [];
      expect(report.parity?.notes).toEqual([]);
      expect(random.stages[0].values).toBe(3);
      expect(random.stages[0].relative).toBeLessThan(1e-5);
    },
  );

  it('keep the numbers of the checkpoint where the exporter folded nothing', async () => {
    const { tensors } = await readCheckpoint(fixture('standard.pth'));
    await convertCheckpoint(fixture('standard_unfolded.onnx'), at('plain.pth'), SHAPES.standard);
    const back = new Map((await readCheckpoint(at('plain.pth'))).tensors.map((t) => [t.name, t]));
    for (const tensor of tensors) {
      if (tensor.name.endsWith('num_batches_tracked')) continue;
      expect([tensor.name, Buffer.from(back.get(tensor.name)?.bytes ?? []).equals(tensor.bytes)]).toEqual([
        tensor.name,
        true,
      ]);
    }
  });

  it('that fold batch norms are said to', async () => {
    const told: string[] = [];
    const log = { info: (text: string) => told.push(text), warn: () => {} };
    await convertCheckpoint(fixture('standard_legacy.onnx'), at('folded'), {
      ...SHAPES.standard,
      log: log as never,
    });
    expect(told.join()).toContain('6 batch norms are folded into weights');
  });

  it('of another architecture list everything without a partner', async () => {
    const promise = convertCheckpoint(fixture('standard_legacy.onnx'), at('never'), {
      arch: 'torchvision_resnet18',
    });
    await expect(promise).rejects.toThrowError(
      expect.objectContaining({
        code: 'E_SHAPE_MISMATCH',
        message: expect.stringMatching(/without a partner: "conv1\.weight" \[64,3,7,7\].*left over/),
      }),
    );
  });

  it('keep their numbers in a file beside them', async () => {
    const { tensors } = await readCheckpoint(fixture('standard_dynamo.onnx'));
    expect(tensors.find((t) => t.name === 'fc.weight')?.bytes).toHaveLength(3 * 8 * 4);
  });
});

/** A graph y = w + x with one initialiser, and what `change` makes of it. */
function modelOf(change: (model: Required<Pick<Model, 'graph'>> & Model) => void = () => {}): Uint8Array {
  const value = (name: string) => ({
    name,
    type: { tensorType: { elemType: 1, shape: { dim: [{ dimValue: 2 }] } } },
  });
  const model: Model & Required<Pick<Model, 'graph'>> = {
    irVersion: 8,
    opsetImport: [{ domain: '', version: 17 }],
    graph: {
      name: 'g',
      node: [{ opType: 'Add', input: ['x', 'w'], output: ['y'] }],
      initializer: [{ name: 'w', dataType: 1, dims: [2], rawData: new Uint8Array(8) }],
      input: [value('x')],
      output: [value('y')],
    },
  };
  change(model);
  return ModelProto.encode(model).finish();
}

/** Reads a model with files beside it. */
const read = (bytes: Uint8Array): Uint8Array[] =>
  parseCheckpoint(bytes, 'm.onnx', folder).tensors.map((tensor) => new Uint8Array(tensor.bytes));
const refused = (code: string, text: string) =>
  expect.objectContaining({
    code: `E_CKPT_${code}`,
    message: expect.stringContaining(text),
    remedy: expect.stringMatching(/\S/),
  });

type Change = Parameters<typeof modelOf>[0];
const tensorOf = (model: Model) => model.graph?.initializer?.[0] ?? {};
const external =
  (location: string, more: readonly [string, string][] = []): NonNullable<Change> =>
  (model) => {
    const tensor = tensorOf(model);
    tensor.rawData = null;
    tensor.dataLocation = 1;
    tensor.externalData = [['location', location], ...more].map(([key, value]) => ({ key, value }));
  };

describe('an ONNX file', () => {
  it('is read: names, types, shapes, numbers in every field that may hold them', () => {
    const values = new Uint8Array(Float32Array.of(1, 2).buffer);
    expect(read(modelOf())).toEqual([new Uint8Array(8)]);
    const inList = modelOf((m) => Object.assign(tensorOf(m), { rawData: null, floatData: [1, 2] }));
    expect(read(inList)).toEqual([values]);
    const half = modelOf((m) =>
      Object.assign(tensorOf(m), { rawData: null, dataType: 10, int32Data: [0x3c00, 0x4000] }),
    );
    expect(read(half)).toEqual([new Uint8Array([0, 0x3c, 0, 0x40])]);
    const wide = modelOf((m) =>
      Object.assign(tensorOf(m), { rawData: null, dataType: 7, int64Data: [5, -1] }),
    );
    expect(read(wide)).toEqual([new Uint8Array(BigInt64Array.of(5n, -1n).buffer)]);
  });

  const faults: [string, string, string, Change][] = [
    [
      'raw data of another length',
      'CORRUPT',
      'needs 8 bytes',
      (m) => Object.assign(tensorOf(m), { rawData: new Uint8Array(4) }),
    ],
    ['two fields of data', 'CORRUPT', 'two fields', (m) => Object.assign(tensorOf(m), { floatData: [1, 2] })],
    [
      'data of another type',
      'CORRUPT',
      'does not fit',
      (m) => Object.assign(tensorOf(m), { rawData: null, int64Data: [1, 2] }),
    ],
    ['no data', 'CORRUPT', 'no data', (m) => Object.assign(tensorOf(m), { rawData: null })],
    ['a negative size', 'CORRUPT', 'shape', (m) => Object.assign(tensorOf(m), { dims: [-2] })],
    ['text in place of numbers', 'UNSUPPORTED', 'type 8', (m) => Object.assign(tensorOf(m), { dataType: 8 })],
    ['a name twice', 'CORRUPT', 'twice', (m) => m.graph?.initializer?.push({ ...tensorOf(m) })],
    [
      'sparse tensors',
      'UNSUPPORTED',
      'sparse',
      (m) => Object.assign(m.graph ?? {}, { sparseInitializer: [{}] }),
    ],
    ['functions', 'UNSUPPORTED', 'functions', (m) => Object.assign(m, { functions: [{ name: 'f' }] })],
    [
      'an unknown opset',
      'UNSUPPORTED',
      'opset 99',
      (m) => Object.assign(m, { opsetImport: [{ version: 99 }] }),
    ],
    ['no opset', 'CORRUPT', 'no opset', (m) => Object.assign(m, { opsetImport: [] })],
    [
      'another domain',
      'UNSUPPORTED',
      'evil',
      (m) => Object.assign(m, { opsetImport: [{ domain: 'evil', version: 1 }] }),
    ],
    [
      'a node of another domain',
      'UNSUPPORTED',
      'evil',
      (m) => Object.assign(m.graph?.node?.[0] ?? {}, { domain: 'evil' }),
    ],
    [
      'a graph in an attribute',
      'UNSUPPORTED',
      'graph inside',
      (m) => Object.assign(m.graph?.node?.[0] ?? {}, { attribute: [{ name: 'a', g: { name: 'h' } }] }),
    ],
    ...['If', 'Loop', 'Scan'].map((opType): [string, string, string, Change] => [
      opType,
      'UNSUPPORTED',
      'graph inside',
      (m) => Object.assign(m.graph?.node?.[0] ?? {}, { opType }),
    ]),
    ['a cycle', 'CORRUPT', 'cycle', (m) => Object.assign(m.graph?.node?.[0] ?? {}, { input: ['y', 'w'] })],
    [
      'an output that no node makes',
      'CORRUPT',
      'no node',
      (m) => Object.assign(m.graph?.output?.[0] ?? {}, { name: 'z' }),
    ],
    ['no graph', 'CORRUPT', 'no graph', (m) => Object.assign(m, { graph: null })],
  ];
  it.each(faults)('with %s is refused', (_what, code, text, change) => {
    expect(() => read(modelOf(change))).toThrowError(refused(code, text));
  });

  it.each([
    ['../w.bin', 'UNSAFE', 'no path below'],
    ['/etc/passwd', 'UNSAFE', 'no path below'],
    ['C:\\w.bin', 'UNSAFE', 'no path below'],
    ['c:w.bin', 'UNSAFE', 'no path below'],
    ['a\\b', 'UNSAFE', 'no path below'],
    ['', 'UNSAFE', 'no path below'],
    ['nothing.bin', 'TRUNCATED', 'not there'],
    ['link.bin', 'UNSAFE', 'symbolic link'],
    ['behind/w.bin', 'UNSAFE', 'symbolic link'],
    ['hard.bin', 'UNSAFE', 'hard link'],
    ['short.bin', 'TRUNCATED', 'which has 4'],
  ])('may not have its numbers in %j', (location, code, text) => {
    if (location === 'link.bin') {
      writeFileSync(at('real.bin'), new Uint8Array(8));
      symlinkSync(at('real.bin'), at('link.bin'));
    } else if (location === 'behind/w.bin') symlinkSync(tmpdir(), at('behind'));
    else if (location === 'hard.bin') {
      writeFileSync(at('first.bin'), new Uint8Array(8));
      linkSync(at('first.bin'), at('hard.bin'));
    } else if (location === 'short.bin') writeFileSync(at('short.bin'), new Uint8Array(4));
    expect(() => read(modelOf(external(location)))).toThrowError(refused(code, text));
  });

  it('may have them in a file beside it, whose place and checksum hold', () => {
    writeFileSync(
      at('w.bin'),
      Uint8Array.from({ length: 12 }, (_, i) => i),
    );
    const sha1 = '9eabd4cf41ea1ff8ed7ec90a9a4e8ef0e4d5a3a1';
    expect(read(modelOf(external('w.bin', [['offset', '4']])))).toEqual([
      new Uint8Array([4, 5, 6, 7, 8, 9, 10, 11]),
    ]);
    const faults: [[string, string][], string, string][] = [
      [[['offset', '5']], 'TRUNCATED', 'which has 12'],
      [[['offset', '99999999999999999999']], 'CORRUPT', 'whole number'],
      [[['length', '4']], 'CORRUPT', 'needs 8 bytes'],
      [[['checksum', sha1]], 'CORRUPT', 'checksum'],
      [[['checksum', 'x']], 'CORRUPT', 'checksum'],
      [[['basepath', '/']], 'CORRUPT', 'unknown'],
    ];
    for (const [more, code, text] of faults)
      expect(() => read(modelOf(external('w.bin', more)))).toThrowError(refused(code, text));
    expect(() => parseCheckpoint(modelOf(external('w.bin')), 'm.onnx')).toThrowError(
      refused('UNSUPPORTED', 'another file'),
    );
  });

  const start = [0x08, 0x08, 0x12, 0x00];
  it.each([
    ['a number of more than ten bytes', [0x28, ...new Array(11).fill(0xff)], 'CORRUPT', 'ten bytes'],
    ['a number cut short', [0x28, 0xff], 'TRUNCATED', 'before it should'],
    ['a field longer than the file', [0x3a, 0x7f, 0x00], 'TRUNCATED', '127 bytes'],
    ['a group', [0x3b, 0x3b, 0x3c, 0x3c], 'CORRUPT', 'group'],
    ['an unknown wire type', [0x3f, 0x00], 'CORRUPT', 'wire type'],
    ['a graph that is a number', [0x38, 0x01], 'CORRUPT', 'wrong wire type'],
    ['a varint written as eight bytes', [0x29, 0, 0, 0, 0, 0, 0, 0, 0], 'CORRUPT', 'wrong wire type'],
    ['a field without a number', [0x02, 0x00], 'CORRUPT', 'number 0'],
  ])('with %s is refused', (_what, rest, code, text) => {
    expect(() => read(Uint8Array.from([...start, ...rest]))).toThrowError(refused(code, text));
  });

  it('nested very deep is refused', () => {
    let inner = Buffer.alloc(0);
    const wrap = (tag: number): void => {
      const length: number[] = [];
      for (let rest = inner.length; ; rest = Math.floor(rest / 128)) {
        length.push(rest < 128 ? rest : (rest % 128) | 128);
        if (rest < 128) break;
      }
      inner = Buffer.concat([Buffer.from([tag, ...length]), inner]);
    };
    // graph > node > attribute > graph ...
    for (let depth = 0; depth < 2000; depth++) for (const tag of [0x32, 0x2a, 0x0a]) wrap(tag);
    wrap(0x3a);
    const bytes = new Uint8Array(Buffer.concat([Buffer.from(start), inner]));
    expect(() => read(bytes)).toThrowError(refused('TOO_LARGE', 'nested deeper'));
  });

  it('of more than 2 GB is refused without being read', async () => {
    writeFileSync(at('big.onnx'), Uint8Array.from(start));
    truncateSync(at('big.onnx'), 2 ** 31);
    await expect(readCheckpoint(at('big.onnx'))).rejects.toThrowError(refused('TOO_LARGE', '2147483648'));
  });
});

describe('the dependency tree', () => {
  it('holds no protobufjs below 8.0.2, which executed code of a file', async () => {
    const { default: lock } = await import('../../package-lock.json', { with: { type: 'json' } });
    const found = Object.entries(lock.packages).filter(([path]) => path.endsWith('node_modules/protobufjs'));
    expect(found.length).toBeGreaterThan(0);
    for (const [path, entry] of found) {
      const [major, minor, patch] = (entry as { version: string }).version.split('.').map(Number);
      expect([path, major * 1e6 + minor * 1e3 + patch >= 8_000_002]).toEqual([path, true]);
    }
  });
});
