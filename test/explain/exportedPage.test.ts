import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  moduleFiles,
  type PageOptions,
  webRuntimeFolder,
  writePage,
} from '../../src/explain/exportedPage.js';

const MODEL = { bytes: Uint8Array.of(1, 2, 3), inputs: [], outputs: [], metadata: { kind: 'explain' } };
let folder: string;
let options: PageOptions;

/** A compiled package of three modules, and a runtime's files. */
function prepare(): PageOptions {
  const compiled = join(folder, 'dist');
  mkdirSync(join(compiled, 'explain', 'browser'), { recursive: true });
  mkdirSync(join(compiled, 'core'));
  writeFileSync(
    join(compiled, 'explain/browser/app.js'),
    "import { a } from '../a.js';\nexport * from '../a.js';\n",
  );
  writeFileSync(
    join(compiled, 'explain/a.js'),
    "import {\n  b,\n} from '../core/b.js';\nexport const a = b;\n",
  );
  writeFileSync(join(compiled, 'core/b.js'), 'export const b = 1;\n');
  writeFileSync(join(compiled, 'core/unused.js'), '');
  for (const name of ['index.html', 'isolation-worker.js'])
    writeFileSync(join(compiled, 'explain/browser', name), name);
  const photo = join(folder, 'cat.jpg');
  writeFileSync(photo, 'photo');
  return { compiled, runtime: webRuntimeFolder(), examples: [photo], top: 8 };
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fact-page-'));
  options = prepare();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('a written page', () => {
  it('holds the page, the modules that it needs and no others, the network, the runtime, the examples', async () => {
    const page = join(folder, 'page');
    await writePage(page, MODEL, options);
    const files = readdirSync(page, { recursive: true, encoding: 'utf8' });
    for (const name of ['index.html', 'isolation-worker.js', 'explain.onnx', 'examples/cat.jpg'])
      expect(files).toContain(name);
    expect(files).toContain(join('js', 'core', 'b.js'));
    expect(files).not.toContain(join('js', 'core', 'unused.js'));
    expect(files).toContain(join('ort', 'ort-wasm-simd-threaded.wasm'));
    expect([...readFileSync(join(page, 'explain.onnx'))]).toEqual([1, 2, 3]);
    expect(JSON.parse(readFileSync(join(page, 'page.json'), 'utf8'))).toEqual({
      model: 'explain.onnx',
      runtimes: ['ort/'],
      top: 8,
      examples: ['examples/cat.jpg'],
      metadata: MODEL.metadata,
    });
  });

  it('replaces an earlier page, and refuses a folder that holds anything else', async () => {
    const page = join(folder, 'page');
    await writePage(page, MODEL, options);
    writeFileSync(join(page, 'old.txt'), '');
    await writePage(page, MODEL, { ...options, runtime: null, runtimes: ['../ort/'] });
    expect(existsSync(join(page, 'old.txt'))).toBe(false);
    expect(existsSync(join(page, 'ort'))).toBe(false);
    expect(JSON.parse(readFileSync(join(page, 'page.json'), 'utf8')).runtimes).toEqual(['ort/', '../ort/']);
    const other = join(folder, 'other');
    mkdirSync(other);
    writeFileSync(join(other, 'diary.txt'), 'dear diary');
    await expect(writePage(other, MODEL, options)).rejects.toMatchObject({ code: 'E_PAGE_FOLDER' });
    expect(readFileSync(join(other, 'diary.txt'), 'utf8')).toBe('dear diary');
  });

  it('is not written where the modules are not compiled, or the runtime is not installed', async () => {
    const page = join(folder, 'page');
    await expect(writePage(page, MODEL, { ...options, compiled: join(folder, 'src') })).rejects.toMatchObject(
      { code: 'E_PAGE_MODULES' },
    );
    expect(() =>
      webRuntimeFolder((() => {
        throw new Error('not found');
      }) as unknown as NodeJS.RequireResolve),
    ).toThrow(expect.objectContaining({ code: 'E_PAGE_RUNTIME' }));
    expect(existsSync(page)).toBe(false);
  });

  it('refuses a module that needs a package, which a browser would not find', () => {
    const entry = join(folder, 'entry.js');
    writeFileSync(entry, "import * as tf from '@tensorflow/tfjs';\n");
    expect(() => moduleFiles(entry)).toThrow('@tensorflow/tfjs');
  });
});
