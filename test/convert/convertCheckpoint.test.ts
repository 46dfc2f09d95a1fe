import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ConvertOptions, convertCheckpoint } from '../../src/convert/convertCheckpoint.js';
import { tensorsOfModel } from '../../src/convert/modelState.js';
import { writePyTorch } from '../../src/convert/pytorch/pytorchWriter.js';
import { readCheckpoint } from '../../src/convert/readCheckpoint.js';
import { writeSafetensors } from '../../src/convert/safetensors.js';
import { createModel } from '../../src/models/createModel.js';
import { loadModel } from '../../src/models/loadModel.js';
import { useEngine } from '../engine.js';

useEngine('cpu');

let folder: string;
const at = (name: string): string => join(folder, name);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'fact-convert-'));
  const model = createModel('resnet', {
    numClasses: 3,
    width: 4,
    blocks: [1, 1],
    stem: 'small',
    b: 1.5,
    inputSize: 16,
  });
  await model.save(at('network'));
  writePyTorch(at('plain.pth'), tensorsOfModel(model));
  model.dispose();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function expectError(promise: Promise<unknown>, code: string, text: string): Promise<void> {
  return expect(promise).rejects.toThrowError(
    expect.objectContaining({
      code,
      message: expect.stringContaining(text),
      remedy: expect.stringMatching(/\S/),
    }),
  );
}

describe('converting', () => {
  it('keeps every byte through network, .pth, safetensors, .ckpt and network', async () => {
    const files = ['network', '1.pth', '2.safetensors', '3.ckpt', '4.pt', '5.safetensors'];
    for (let i = 1; i < files.length; i++) {
      const isUnderKey = files[i - 1].endsWith('.ckpt');
      const options: ConvertOptions = {
        check: true,
        set: { stem: 'small', inputSize: 16 },
        ...(isUnderKey
          ? {
              arch: 'resnet',
              prefix: 'state_dict.',
              set: { width: 4, blocks: [1, 1], stem: 'small', inputSize: 16 },
            }
          : {}),
      };
      const report = await convertCheckpoint(at(files[i - 1]), at(files[i]), options);
      expect(report.parity?.tensors).toMatchObject({ identical: report.tensors, worst: null });
      for (const { stages } of report.parity?.stages ?? [])
        for (const { max, relative } of stages) expect([max, relative]).toEqual([0, 0]);
      expect(report.parity?.stages).toHaveLength(1);
    }
    const first = await readCheckpoint(at('1.pth'));
    const last = await readCheckpoint(at('5.safetensors'));
    expect(last.tensors).toEqual(first.tensors);
  });

  it('keeps the options that weights do not tell in the metadata of safetensors', async () => {
    await convertCheckpoint(at('network'), at('a.safetensors'));
    await convertCheckpoint(at('a.safetensors'), at('again'));
    const model = await loadModel(at('again'));
    expect(model.spec.options).toMatchObject({ stem: 'small', b: 1.5, width: 4 });
    expect(model.spec.source).toBe('a.safetensors');
    model.dispose();
  });

  it('takes options that weights do not tell from the caller', async () => {
    await convertCheckpoint(at('plain.pth'), at('set'), { set: { stem: 'small', inputSize: 64, b: 1.5 } });
    const model = await loadModel(at('set'));
    expect(model.spec).toMatchObject({ inputSize: [64, 64], options: { stem: 'small', b: 1.5 } });
    model.dispose();
  });

  it('refuses metadata that contradict the tensors before building anything', async () => {
    const { tensors } = await readCheckpoint(at('plain.pth'));
    const { metadata } = await (async () => {
      await convertCheckpoint(at('network'), at('m.safetensors'));
      return readCheckpoint(at('m.safetensors'));
    })();
    const options = JSON.parse(metadata.get('fact.options') ?? '');
    for (const [wrong, text] of [
      [JSON.stringify({ ...options, width: 2 ** 20 }), 'contradicts'],
      ['{', 'not JSON'],
      [JSON.stringify({ ...options, evil: 1 }), 'evil'],
    ]) {
      writeSafetensors(at('wrong.safetensors'), tensors, new Map([...metadata, ['fact.options', wrong]]));
      await expectError(convertCheckpoint(at('wrong.safetensors'), at('never')), 'E_CKPT_CORRUPT', text);
    }
    expect(existsSync(at('never'))).toBe(false);
  });

  it('stores half precision where it is asked for, and says how far off it is', async () => {
    for (const [dtype, target] of [
      ['float16', 'h.pth'],
      ['bfloat16', 'h.safetensors'],
      ['float16', 'h'],
    ] as const) {
      const set = { stem: 'small', inputSize: 16 } as const;
      const { parity } = await convertCheckpoint(at('plain.pth'), at(target), { dtype, check: true, set });
      const tensors = parity?.tensors;
      expect(tensors?.worst?.relativeError).toBeGreaterThan(0);
      expect(tensors?.worst?.relativeError).toBeLessThan(tensors?.tolerance ?? 0);
      expect(parity?.stages[0].stages.at(-1)?.relative).toBeGreaterThan(0);
    }
    expect((await readCheckpoint(at('h.pth'))).tensors[0].dtype).toBe('float16');
    await expectError(
      convertCheckpoint(at('plain.pth'), at('b'), { dtype: 'bfloat16' }),
      'E_USAGE',
      'float16',
    );
  });

  it('names the nearest architecture where the weights do not fit', async () => {
    const promise = convertCheckpoint(at('plain.pth'), at('x'), { arch: 'resnet18' });
    await expect(promise).rejects.toThrowError(
      expect.objectContaining({
        code: 'E_SHAPE_MISMATCH',
        remedy: expect.stringContaining('--arch resnet.'),
      }),
    );
    expect(existsSync(at('x'))).toBe(false);
  });

  it('says where no architecture is known', async () => {
    writeSafetensors(at('other.safetensors'), [
      { name: 'w', dtype: 'float32', shape: [1], bytes: new Uint8Array(4) },
    ]);
    await expectError(convertCheckpoint(at('other.safetensors'), at('y')), 'E_ARCH_UNKNOWN', '1 tensors');
  });

  it('refuses a checkpoint without tensors', async () => {
    writeSafetensors(at('none.safetensors'), []);
    await expectError(convertCheckpoint(at('none.safetensors'), at('none.pth')), 'E_NO_COPY', 'no tensors');
  });
});

describe('targets', () => {
  it('that exist are replaced only with force', async () => {
    writeFileSync(at('old.pth'), 'old');
    await expectError(convertCheckpoint(at('plain.pth'), at('old.pth')), 'E_EXISTS', 'exists');
    expect(readFileSync(at('old.pth'), 'utf8')).toBe('old');
    await convertCheckpoint(at('plain.pth'), at('old.pth'), { force: true });
    expect((await readCheckpoint(at('old.pth'))).tensors.length).toBeGreaterThan(10);
  });

  it('that hold other things than a network are never replaced', async () => {
    mkdirSync(at('photos'));
    writeFileSync(join(at('photos'), 'a.jpg'), 'precious');
    await expectError(
      convertCheckpoint(at('plain.pth'), at('photos'), { force: true }),
      'E_EXISTS',
      'other things',
    );
    expect(readdirSync(at('photos'))).toEqual(['a.jpg']);
  });

  it('may be an empty folder', async () => {
    mkdirSync(at('empty'));
    await convertCheckpoint(at('plain.pth'), at('empty'));
    expect(readdirSync(at('empty')).sort()).toEqual(['fact.json', 'model.json', 'weights.bin']);
  });

  it('of the wrong kind are refused', async () => {
    mkdirSync(at('folder.pth'));
    writeFileSync(at('file'), '');
    await expectError(
      convertCheckpoint(at('plain.pth'), at('folder.pth'), { force: true }),
      'E_EXISTS',
      'folder',
    );
    await expectError(convertCheckpoint(at('plain.pth'), at('file'), { force: true }), 'E_EXISTS', 'file');
    await expectError(convertCheckpoint(at('plain.pth'), at('a.h5')), 'E_USAGE', '.h5');
    await expectError(convertCheckpoint(at('plain.pth'), at('a.onnx')), 'E_USAGE', 'exporter');
  });

  it('may not be the source, also by another name', async () => {
    symlinkSync(at('plain.pth'), at('link.pth'));
    for (const target of ['plain.pth', 'link.pth'])
      await expectError(convertCheckpoint(at('plain.pth'), at(target), { force: true }), 'E_EXISTS', 'same');
  });

  it('that cannot be written leave nothing behind, and keep what was there', async () => {
    writeFileSync(at('blocker'), 'old');
    await expectError(convertCheckpoint(at('plain.pth'), join(at('blocker'), 'a.pth')), 'E_WRITE', 'blocker');
    await expectError(convertCheckpoint(at('plain.pth'), join(at('blocker'), 'net')), 'E_WRITE', 'blocker');
    expect(readFileSync(at('blocker'), 'utf8')).toBe('old');
    expect(readdirSync(folder).filter((name) => name.includes('.tmp'))).toEqual([]);
  });
});
