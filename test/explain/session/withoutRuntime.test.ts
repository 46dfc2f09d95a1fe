import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { DiskCache } from '../../../src/core/diskCache.js';
import { startEngine } from '../../../src/engine/start.js';
import { openSession } from '../../../src/explain/session/session.js';
import { randomImage, smallModel } from '../fixtures.js';

// As after a change of the system's C library: the cache has a program, but what runs it no longer loads.
vi.mock('onnxruntime-node', () => {
  throw new Error('version GLIBC_2.27 not found');
});

const CHILD = join(import.meta.dirname, 'storedChild.ts');
const root = mkdtempSync(join(tmpdir(), 'fact-broken-'));
const folder = join(root, 'model');
const cache = join(root, 'cache');
let logit = 0;

beforeAll(async () => {
  await startEngine({ engine: 'cpu' });
  const model = smallModel({ blocks: [1, 1], inputSize: 16, preprocessing: { resize: 16, crop: [16, 16] } });
  await model.save(folder);
  model.dispose();
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', CHILD, folder, cache]);
  logit = JSON.parse(stdout).logit;
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const open = (engine: 'auto' | 'onnx') =>
  openSession({
    model: folder,
    top: 4,
    engine: { engine, threads: 1 },
    cache: DiskCache.open(cache),
    first: { program: 'explain', count: () => 1 },
  });

test('a stored program without its runtime: engine onnx says what is missing', async () => {
  expect(readdirSync(cache).filter((name) => name.endsWith('.json'))).toHaveLength(1);
  await expect(open('onnx')).rejects.toMatchObject({
    code: 'E_ENGINE_MISSING',
    message: expect.stringContaining('onnxruntime-node 1.30.0 is not usable'),
    remedy: expect.stringContaining('npm install onnxruntime-node@'),
  });
});

test('engine auto goes on with wasm, with the same numbers', async () => {
  const session = await open('auto');
  expect([session.isStored, session.engine]).toEqual([false, 'wasm']);
  const pixels = Uint8Array.from({ length: 16 * 16 * 3 }, (_, i) => (i * 37) % 256);
  const [one] = await session.explainer.explain([{ ...randomImage(1, null, 16), pixels }]);
  expect(one.predicted.logit).toBeCloseTo(logit, 5);
  await session.close();
  expect(readdirSync(cache).filter((name) => name.endsWith('.json'))).toHaveLength(1);
});
