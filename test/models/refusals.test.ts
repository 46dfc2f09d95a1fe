import { cpSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BcosModel } from '../../src/models/bcosModel.js';
import { createModel } from '../../src/models/createModel.js';
import { loadModel } from '../../src/models/loadModel.js';
import { useEngine } from '../engine.js';
import { temporaryFolders } from '../fixtures/pictures.js';

useEngine('cpu');
const folder = temporaryFolders();
let model: BcosModel;
let saved: string;

beforeAll(async () => {
  model = createModel('resnet', { numClasses: 3, width: 4, blocks: [1, 1], stem: 'small', inputSize: 32 });
});
afterAll(() => model.dispose());

/** A copy of the saved network, changed. */
async function changed(change: (folder: string) => void): Promise<string> {
  const root = folder();
  saved = join(root, 'network');
  await model.save(saved);
  const copy = join(root, 'copy');
  cpSync(saved, copy, { recursive: true });
  change(copy);
  return copy;
}

function edit(path: string, change: (text: string) => string): void {
  writeFileSync(path, change(readFileSync(path, 'utf8')));
}

describe('createModel refuses', () => {
  it('an unknown architecture, and names the nearest', () => {
    expect(() => createModel('resnet81')).toThrowError(
      expect.objectContaining({ code: 'E_MODEL_UNKNOWN', message: expect.stringContaining('resnet18') }),
    );
  });

  it('an unknown option, and names the nearest', () => {
    expect(() => createModel('resnet', { widht: 4 } as never)).toThrowError(
      expect.objectContaining({ code: 'E_MODEL_OPTION', message: expect.stringContaining('"width"') }),
    );
  });

  it.each([{ width: 0 }, { blocks: [] }, { numClasses: 2.5 }, { numClasses: 3, classNames: ['one'] }])(
    'an option out of range: %j',
    (options) => {
      expect(() => createModel('resnet', options as never)).toThrowError(
        expect.objectContaining({ code: 'E_MODEL_OPTION', exitCode: 2 }),
      );
    },
  );
});

describe('loadModel refuses', () => {
  it.each(['fact.json', 'model.json', 'weights.bin'])('a folder without %s', async (name) => {
    const copy = await changed((path) => rmSync(join(path, name)));
    await expect(loadModel(copy)).rejects.toMatchObject({
      code: 'E_MODEL_MISSING',
      message: expect.stringContaining(name),
    });
  });

  it('a file that cannot be read', async () => {
    const copy = await changed((path) => {
      rmSync(join(path, 'fact.json'));
      mkdirSync(join(path, 'fact.json'));
    });
    await expect(loadModel(copy)).rejects.toMatchObject({ code: 'E_MODEL_UNREADABLE' });
  });

  it.each([
    ['a spec that is not JSON', (path: string) => edit(join(path, 'fact.json'), () => '{')],
    [
      'a spec with an unknown key',
      (path: string) => edit(join(path, 'fact.json'), (text) => text.replace('{', '{"more": 1,')),
    ],
    ['weights that are cut short', (path: string) => truncateSync(join(path, 'weights.bin'), 100)],
    [
      'weights with a changed byte',
      (path: string) => {
        const bytes = readFileSync(join(path, 'weights.bin'));
        bytes[40] ^= 1;
        writeFileSync(join(path, 'weights.bin'), bytes);
      },
    ],
  ])('%s', async (_what, change) => {
    await expect(loadModel(await changed(change))).rejects.toMatchObject({ code: 'E_MODEL_CORRUPT' });
  });
});

describe('a network refuses', () => {
  it('taps in the wrong order', () => {
    expect(() => model.segment('layer2', 'layer1')).toThrowError(
      expect.objectContaining({ code: 'E_TAP_ORDER', message: expect.stringContaining('layer2') }),
    );
  });

  it('an unknown tap, and names the nearest', () => {
    expect(() => model.splitAt('layre1')).toThrowError(
      expect.objectContaining({ code: 'E_TAP_UNKNOWN', message: expect.stringContaining('layer1') }),
    );
  });

  it('values of another size or type for a weight', () => {
    const [weight] = model.stateDict();
    for (const values of [new Float32Array(1), new BigInt64Array(weight.variable.size)]) {
      expect(() => weight.write(values)).toThrowError(
        expect.objectContaining({ code: 'E_STATE_VALUE', message: expect.stringContaining(weight.name) }),
      );
    }
  });
});
