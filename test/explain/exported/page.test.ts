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
import { type PageOptions, webRuntimeFolder, writePage } from '../../../src/explain/exported/page.js';

const MODEL = { bytes: Uint8Array.of(1, 2, 3), inputs: [], outputs: [], metadata: { kind: 'explain' } };
let folder: string;
let options: PageOptions;

/** The page's own files, and a photograph. */
function prepare(): PageOptions {
  const assets = join(folder, 'browser');
  mkdirSync(assets);
  for (const name of ['index.html', 'page.js', 'isolation-worker.js'])
    writeFileSync(join(assets, name), name);
  const photo = join(folder, 'cat.jpg');
  writeFileSync(photo, 'photo');
  return { assets, runtime: webRuntimeFolder(), examples: [photo], top: 8 };
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fact-page-'));
  options = prepare();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('a written page', () => {
  it('holds the page, its program, the network, the runtime, the examples', async () => {
    const page = join(folder, 'page');
    await writePage(page, MODEL, options);
    const files = readdirSync(page, { recursive: true, encoding: 'utf8' });
    for (const name of ['index.html', 'page.js', 'isolation-worker.js', 'explain.onnx', 'examples/cat.jpg'])
      expect(files).toContain(name);
    expect(files).toContain(join('ort', 'ort-wasm-simd-threaded.wasm'));
    expect([...readFileSync(join(page, 'explain.onnx'))]).toEqual([1, 2, 3]);
    expect(JSON.parse(readFileSync(join(page, 'page.json'), 'utf8'))).toEqual({
      model: 'explain.onnx',
      runtime: 'ort/',
      top: 8,
      examples: ['examples/cat.jpg'],
      metadata: MODEL.metadata,
    });
  });

  it('replaces an earlier page, and refuses a folder that holds anything else', async () => {
    const page = join(folder, 'page');
    await writePage(page, MODEL, options);
    writeFileSync(join(page, 'old.txt'), '');
    await writePage(page, MODEL, { ...options, examples: [] });
    expect(existsSync(join(page, 'old.txt'))).toBe(false);
    expect(existsSync(join(page, 'examples', 'cat.jpg'))).toBe(false);
    expect(JSON.parse(readFileSync(join(page, 'page.json'), 'utf8')).examples).toEqual([]);
    const other = join(folder, 'other');
    mkdirSync(other);
    writeFileSync(join(other, 'diary.txt'), 'dear diary');
    await expect(writePage(other, MODEL, options)).rejects.toMatchObject({ code: 'E_PAGE_FOLDER' });
    expect(readFileSync(join(other, 'diary.txt'), 'utf8')).toBe('dear diary');
  });

  it('is not written where its program is not built, or the runtime is not installed', async () => {
    const page = join(folder, 'page');
    rmSync(join(folder, 'browser', 'page.js'));
    await expect(writePage(page, MODEL, options)).rejects.toMatchObject({ code: 'E_PAGE_BUNDLE' });
    expect(() =>
      webRuntimeFolder((() => {
        throw new Error('not found');
      }) as unknown as NodeJS.RequireResolve),
    ).toThrow(expect.objectContaining({ code: 'E_PAGE_RUNTIME' }));
    expect(existsSync(page)).toBe(false);
  });
});
