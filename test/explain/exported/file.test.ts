import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { traceToOnnx } from '../../../src/engine/export.js';
import { parseModel } from '../../../src/engine/onnx/proto.js';
import { worstLedgerError } from '../../../src/explain/exported/check.js';
import { ExportedFile, type Runtime } from '../../../src/explain/exported/file.js';
import { EXPORT_FORMAT } from '../../../src/explain/exported/subject.js';
import type { Sae } from '../../../src/explain/sae.js';
import type { BcosModel } from '../../../src/models/bcosModel.js';
import { randomSae, SIZE, smallModel } from '../fixtures.js';
import { useOnnx } from './engine.js';
import { planesOf, useExports } from './fixtures.js';

useOnnx();
const exports = useExports();

describe('an exported file', () => {
  let model: BcosModel;
  let sae: Sae;
  let path: string;
  let bytes: Uint8Array;
  let file: ExportedFile;
  beforeAll(async () => {
    model = smallModel();
    sae = randomSae(model, 'layer3');
    const source = { model, sae, early: null };
    path = exports.write(source);
    bytes = new Uint8Array(readFileSync(path));
    file = await exports.open(source);
  });
  afterAll(() => {
    sae.dispose();
    model.dispose();
  });

  const written = (name: string, content: Uint8Array): string => {
    const at = join(exports.folder, name);
    writeFileSync(at, content);
    return at;
  };
  const refusal = (code: string, part: string) =>
    expect.objectContaining({ code, message: expect.stringContaining(part) });

  it('that is absent is named', async () => {
    const absent = join(exports.folder, 'absent.onnx');
    await expect(ExportedFile.open(absent)).rejects.toEqual(refusal('E_EXPORTED_MISSING', 'absent.onnx'));
  });

  it('that is cut short anywhere is refused', async () => {
    for (const share of [0, 0.001, 0.3, 0.9, 0.999]) {
      const cut = written('cut.onnx', bytes.slice(0, Math.floor(bytes.length * share)));
      await expect(ExportedFile.open(cut)).rejects.toMatchObject({
        code: expect.stringMatching(/^E_EXPORTED_(DAMAGED|FOREIGN|CHANGED)$/),
        message: expect.stringContaining('cut.onnx'),
      });
    }
    const empty = written('empty.onnx', new Uint8Array(0));
    await expect(ExportedFile.open(empty)).rejects.toEqual(refusal('E_EXPORTED_DAMAGED', '0 bytes'));
  });

  it('in which one byte was changed is refused, wherever it is', async () => {
    for (let i = 1; i < 12; i++) {
      const changed = bytes.slice();
      changed[Math.floor((bytes.length * i) / 12)] ^= 0x10;
      await expect(ExportedFile.open(written('edited.onnx', changed))).rejects.toMatchObject({
        code: expect.stringMatching(/^E_EXPORTED_(CHANGED|DAMAGED|FOREIGN)$/),
      });
    }
  });

  it('whose weights were changed is refused as changed', async () => {
    const weight = parseModel(bytes).graph?.initializer?.find(({ rawData }) => (rawData?.length ?? 0) > 1000);
    const place = Buffer.from(bytes).indexOf(Buffer.from(weight?.rawData ?? []));
    const changed = bytes.slice();
    changed[place] ^= 1;
    await expect(ExportedFile.open(written('weights.onnx', changed))).rejects.toEqual(
      refusal('E_EXPORTED_CHANGED', 'weights.onnx'),
    );
  });

  it('of another program or version is refused as such', async () => {
    const other = traceToOnnx((x) => x.square(), [{ name: 'x', shape: [2] }], { name: 'square' });
    await expect(ExportedFile.open(written('other.onnx', other))).rejects.toEqual(
      refusal('E_EXPORTED_FOREIGN', 'no explanation file'),
    );
    const text = Buffer.from(bytes).toString('latin1').replace(EXPORT_FORMAT, 'fact-explanation/9');
    await expect(ExportedFile.open(written('newer.onnx', Buffer.from(text, 'latin1')))).rejects.toEqual(
      refusal('E_EXPORTED_FOREIGN', '"fact-explanation/9"'),
    );
  });

  it('names onnxruntime where it is missing or refuses', async () => {
    const missing = { runtime: () => Promise.reject(new Error("Cannot find package 'onnxruntime-node'")) };
    await expect(ExportedFile.open(path, missing)).rejects.toMatchObject({
      code: 'E_EXPORTED_RUNTIME',
      message: expect.stringContaining('onnxruntime-node is not usable'),
      remedy: expect.stringContaining('npm install onnxruntime-node'),
    });
    const old: Runtime = {
      InferenceSession: { create: () => Promise.reject(new Error('opset 17 is under development')) },
      Tensor: (await import('onnxruntime-common')).Tensor,
      env: { versions: { node: '1.9.0' } },
    };
    await expect(ExportedFile.open(path, { runtime: async () => old })).rejects.toMatchObject({
      code: 'E_EXPORTED_RUNTIME',
      message: expect.stringContaining('onnxruntime 1.9.0 refuses it: opset 17'),
      remedy: expect.stringContaining('1.12 or later'),
    });
  });

  it('refuses images of another size and numbers that are not finite', async () => {
    await expect(file.run(new Float32Array(100))).rejects.toEqual(
      refusal('E_EXPORTED_INPUT', '100 numbers are no images of 3 x 32 x 32'),
    );
    const images = planesOf([1, 2]);
    images[3 * SIZE * SIZE + 7] = Number.NaN;
    await expect(file.run(images)).rejects.toEqual(
      refusal('E_EXPORTED_INPUT', 'image 1 holds NaN at element 7'),
    );
    await expect(file.runPhoto({ data: new Uint8Array(3), height: 1, width: 1 })).rejects.toEqual(
      refusal('E_EXPORTED_INPUT', 'takes prepared images'),
    );
  });

  it('refuses concepts and classes that it does not have, and rows that do not fit', async () => {
    const images = planesOf([1, 2]);
    const fails = async (request: Parameters<ExportedFile['run']>[1], part: string): Promise<void> => {
      await expect(file.run(images, request)).rejects.toEqual(refusal('E_EXPORTED_INPUT', part));
    };
    await fails({ concepts: [[64]] }, 'there is no concept 64: the file has 64');
    await fails({ concepts: [[-65]] }, 'there is no concept -65');
    await fails({ concepts: [[1], [2], [3]] }, 'expected 1 or 2 rows');
    await fails({ concepts: [[1], [2, 3]] }, 'expected 1 or 2 rows');
    await fails({ classWeights: [[1, 0]] }, 'expected 1 or 2 rows of 5');
    await fails({ classWeights: [[1, 0, 0, Number.NaN, 0]] }, 'not a finite number');
    await fails({ want: ['want_traces'] }, 'has nothing for want_traces');
  });

  it('of a fixed batch or for photographs says what it takes', async () => {
    const source = { model, sae, early: null };
    const two = await exports.open(source, { batch: 2 });
    await expect(two.run(planesOf([1]))).rejects.toEqual(
      refusal('E_EXPORTED_INPUT', '1 images, the file takes 2'),
    );
    const photos = await exports.open(source, { input: 'uint8' });
    await expect(photos.run(planesOf([1]))).rejects.toEqual(
      refusal('E_EXPORTED_INPUT', 'takes photographs as bytes'),
    );
    await expect(photos.runPhoto({ data: new Uint8Array(5), height: 1, width: 2 })).rejects.toEqual(
      refusal('E_EXPORTED_INPUT', '5 bytes are no photograph of 1 x 2 x 3'),
    );
  });

  it('shows an infinite ledger error where a runtime computed NaN, and fails where one fails', async () => {
    const { Tensor } = await import('onnxruntime-common');
    const session = (run: () => Promise<never>) => ({
      inputNames: file.inputNames,
      outputNames: file.outputNames,
      run,
      release: async () => undefined,
    });
    const broken: Runtime = {
      InferenceSession: {
        create: async () => session(() => Promise.reject(new Error('bad allocation'))) as never,
      },
      Tensor,
    };
    const opened = await ExportedFile.open(path, { runtime: async () => broken });
    await expect(opened.run(planesOf([1]))).rejects.toEqual(refusal('E_EXPORTED_RUN', 'bad allocation'));
    const ledger = { dims: [1, 4], data: Float64Array.of(1, 1, 0, Number.NaN) };
    expect(worstLedgerError({ ledger_class_map: ledger })).toBe(Number.POSITIVE_INFINITY);
  });

  it('itself gives an infinite ledger error for an image that is not finite', async () => {
    const ort = await import('onnxruntime-node');
    const session = await ort.InferenceSession.create(bytes);
    const image = planesOf([1]).fill(Number.NaN, 0, 10);
    const flag = (name: string) => [name, new ort.Tensor('bool', Uint8Array.of(1), [])] as const;
    const outputs = await session.run({
      image: new ort.Tensor('float32', image, [1, 3, SIZE, SIZE]),
      class_weights: new ort.Tensor('float32', Float32Array.of(1, 0, 0, 0, 0), [1, 5]),
      concepts: new ort.Tensor('int32', Int32Array.of(1), [1, 1]),
      ...Object.fromEntries(session.inputNames.filter((name) => name.startsWith('want_')).map(flag)),
    });
    expect((outputs.ledger_class_map.data as Float64Array)[3]).toBe(Number.POSITIVE_INFINITY);
    await session.release();
  });
});
