import { execFile } from 'node:child_process';
import { chmodSync, cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DiskCache } from '../../../src/core/diskCache.js';
import { startEngine } from '../../../src/engine/start.js';
import type { ExplainImage, Explanation } from '../../../src/explain/explanation.js';
import { SAE_CONFIG_FILE, SAE_WEIGHTS_FILE, saveSae } from '../../../src/explain/sae.js';
import {
  SAE_CONFIG_FILE as LIGHT_SAE_CONFIG,
  SAE_WEIGHTS_FILE as LIGHT_SAE_WEIGHTS,
  MODEL_FILES,
} from '../../../src/explain/session/modelFolders.js';
import { buildIdentity, identityKey, programKey } from '../../../src/explain/session/programKey.js';
import { openSession, type SessionOptions } from '../../../src/explain/session/session.js';
import { MODEL_FILE, SPEC_FILE, WEIGHTS_FILE } from '../../../src/models/modelFile.js';
import { randomImage, randomSae, smallModel } from '../fixtures.js';

const CHILD = join(import.meta.dirname, 'storedChild.ts');
const SIZE = 16;
const root = mkdtempSync(join(tmpdir(), 'fact-stored-'));
const folder = join(root, 'model');
const cacheFolder = join(root, 'cache');

beforeAll(async () => {
  await startEngine({ engine: 'onnx', threads: 1 });
  const model = smallModel({
    blocks: [1, 1],
    inputSize: SIZE,
    preprocessing: { resize: SIZE, crop: [SIZE, SIZE] },
  });
  await model.save(folder);
  for (const tap of ['layer1', 'layer2']) {
    const sae = randomSae(model, tap, 24, 3);
    await saveSae(join(folder, 'saes', tap), sae);
    sae.dispose();
  }
  model.dispose();
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const troubles: string[] = [];
function options(count = 1, model = folder, more: Partial<SessionOptions> = {}): SessionOptions {
  return {
    model,
    top: 3,
    engine: { engine: 'onnx', threads: 1 },
    cache: DiskCache.open(cacheFolder, { onTrouble: (what) => troubles.push(what) }),
    first: { program: 'explain', count: () => count },
    ...more,
  };
}

const images = (count: number, size = SIZE): ExplainImage[] =>
  Array.from({ length: count }, (_, i) => randomImage(i, i === 1 ? 0 : null, size));

/** Explains in a session of its own. */
async function explained(
  asked: SessionOptions,
  pictures = images(1),
): Promise<{ isStored: boolean; result: Explanation[] }> {
  const session = await openSession(asked);
  const result = await session.explainer.explain(pictures);
  await session.close();
  return { isStored: session.isStored, result };
}

describe('a session on programs of an earlier one', () => {
  it('gives the very same explanations, and no tensor or weight is made', async () => {
    const first = await explained(options());
    const { numTensors } = tf.memory();
    const second = await explained(options());
    expect([first.isStored, second.isStored]).toEqual([false, true]);
    expect(second.result).toEqual(first.result);
    expect(tf.memory().numTensors).toBe(numTensors);
    expect(troubles).toEqual([]);
  });

  it('says the same of itself', async () => {
    const [cold, warm] = [
      await openSession(options(1, folder, { cache: null })),
      await openSession(options()),
    ];
    expect(warm.isStored).toBe(true);
    expect(warm.context('verify', '1')).toEqual(cold.context('verify', '1'));
    expect(warm.spec).toEqual(cold.spec);
    await cold.close();
    await warm.close();
  });

  it('finds them for the same files at another place', async () => {
    const moved = join(root, 'moved');
    cpSync(folder, moved, { recursive: true });
    const session = await openSession(options(1, moved));
    expect(session.isStored).toBe(true);
    expect(session.autoencoders.map(({ path, role }) => [path, role])).toEqual([
      [join(moved, 'saes', 'layer2'), 'concepts'],
      [join(moved, 'saes', 'layer1'), 'traces'],
    ]);
    await session.close();
  });

  it('explains groups that are filled up, of a misclassified image too', async () => {
    const first = await explained(options(3), images(3));
    const second = await explained(options(3), images(3));
    expect([first.isStored, second.isStored]).toEqual([false, true]);
    expect(second.result).toEqual(first.result);
    expect(second.result[1].target.reason).toBe('misclassified');
  });

  it('loads the network for sizes that were not met before, and keeps those too', async () => {
    const session = await openSession(options());
    expect(session.isStored).toBe(true);
    const [one] = await session.explainer.explain(images(1, SIZE + 8));
    expect(one.ledgers.every(({ holds }) => holds)).toBe(true);
    const [small] = await session.explainer.explain(images(1));
    expect(small.ledgers.every(({ holds }) => holds)).toBe(true);
    await session.close();
    expect(
      readdirSync(cacheFolder).filter((name) => name.includes(`-explain-${SIZE + 8}x${SIZE + 8}-1`)),
    ).toHaveLength(1);
  });

  it('gives scores alone too', async () => {
    const asked = () => options(2, folder, { saes: null, first: { program: 'scores', count: () => 2 } });
    const runs = [];
    for (let i = 0; i < 2; i++) {
      const session = await openSession(asked());
      runs.push({ isStored: session.isStored, scores: await session.explainer.scores(images(2)) });
      await session.close();
    }
    expect(runs.map(({ isStored }) => isStored)).toEqual([false, true]);
    expect(runs[1].scores).toEqual(runs[0].scores);
  });

  it('compiles anew where an entry is damaged, cut or no graph, and mends the cache', async () => {
    const { result } = await explained(options());
    const damage = (change: (path: string) => void): void => {
      for (const name of readdirSync(cacheFolder).filter((n) => n.endsWith('.bin')))
        change(join(cacheFolder, name));
    };
    for (const change of [
      (path: string) => writeFileSync(path, readFileSync(path).fill(1, 5000, 5010)),
      (path: string) => writeFileSync(path, readFileSync(path).subarray(0, 5000)),
      (path: string) => rmSync(path),
    ]) {
      damage(change);
      const again = await explained(options());
      expect(again.isStored).toBe(false);
      expect(again.result).toEqual(result);
      expect((await explained(options())).isStored).toBe(true);
    }
    const cache = DiskCache.open(cacheFolder);
    const [index] = readdirSync(cacheFolder).filter((name) =>
      name.includes(`-explain-${SIZE}x${SIZE}-1.json`),
    );
    cache?.write(index.replace('.json', ''), { layout: 3 }, new Uint8Array(100));
    expect((await explained(options())).isStored).toBe(false);
    expect((await explained(options())).isStored).toBe(true);
  });

  it('works without a cache, with one that cannot be written, and uncompiled', async () => {
    const { result } = await explained(options());
    const locked = join(root, 'locked');
    const cache = DiskCache.open(locked);
    chmodSync(locked, 0o500);
    rmSync(locked, { recursive: true });
    for (const more of [
      { cache: null },
      { cache },
      { engine: { engine: 'onnx', threads: 1, compile: false } as const },
    ]) {
      const plain = await explained(options(1, folder, more));
      expect(plain.isStored).toBe(false);
      expect(plain.result[0].concepts.map(({ concept }) => concept)).toEqual(
        result[0].concepts.map(({ concept }) => concept),
      );
    }
  });

  it('never overlooks changed weights or a damaged network', async () => {
    const changed = join(root, 'changed');
    cpSync(folder, changed, { recursive: true });
    const path = join(changed, WEIGHTS_FILE);
    writeFileSync(path, readFileSync(path).fill(0, 100, 104));
    await expect(openSession(options(1, changed))).rejects.toMatchObject({ code: 'E_MODEL_CORRUPT' });
    const config = join(changed, 'saes', 'layer2', SAE_CONFIG_FILE);
    cpSync(folder, changed, { recursive: true });
    writeFileSync(config, readFileSync(config, 'utf8').replace('"k": 3', '"k": 2'));
    const session = await openSession(options(1, changed));
    expect([session.isStored, session.autoencoders[0].k]).toEqual([false, 2]);
    await session.close();
  });

  it('loads no tfjs at all in a process of its own', async () => {
    const run = async () => {
      const { stdout } = await promisify(execFile)(process.execPath, [
        ...['--import', 'tsx', CHILD, folder, cacheFolder],
      ]);
      return JSON.parse(stdout) as { isStored: boolean; tfjs: number; logit: number };
    };
    const [one, two] = [await run(), await run()];
    expect(two).toEqual({ isStored: true, tfjs: 0, logit: one.logit });
  });
});

describe('the key of a stored program', () => {
  it('changes with weights, code, number of concepts, threads, function and picture size', async () => {
    const files = [join(folder, WEIGHTS_FILE)];
    const base = await identityKey({ files, top: 3, threads: 1 });
    const others = [
      await identityKey({ files: [...files, join(folder, MODEL_FILE)], top: 3, threads: 1 }),
      await identityKey({ files, top: 4, threads: 1 }),
      await identityKey({ files, top: 3, threads: undefined }),
    ];
    expect(new Set([base, ...others]).size).toBe(4);
    expect(await identityKey({ files: [join(folder, 'none')], top: 3, threads: 1 })).toBeNull();
    expect(buildIdentity()).toMatch(/^[0-9a-f]{64}$/);
    const size = { count: 1, height: 2, width: 3 };
    const keys = [
      programKey('a', 'x', size),
      programKey('a', 'y', size),
      programKey('a', 'x', { ...size, count: 2 }),
    ];
    expect(new Set(keys).size).toBe(3);
  });

  it('knows the files of a network as the loader names them', () => {
    expect([...MODEL_FILES]).toEqual([SPEC_FILE, MODEL_FILE, WEIGHTS_FILE]);
    expect([LIGHT_SAE_CONFIG, LIGHT_SAE_WEIGHTS]).toEqual([SAE_CONFIG_FILE, SAE_WEIGHTS_FILE]);
  });
});
