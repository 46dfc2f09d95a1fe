import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type ObtainOptions, obtain, type PublishedFile } from '../../../src/convert/zoo/obtain.js';
import { torchFolders, zooCacheFolder } from '../../../src/convert/zoo/places.js';
import type { FactError } from '../../../src/core/errors.js';
import { sha256 } from '../../../src/core/hash.js';
import { BadServer, serve } from '../../core/badServer.js';

const CONTENT = Buffer.from(Float32Array.from({ length: 100_000 }, (_, i) => Math.sin(i)).buffer);
const PREFIX = sha256(CONTENT).slice(0, 10);

let server: BadServer;
let folder = '';
beforeAll(async () => {
  server = await BadServer.start();
});
afterAll(() => server.stop());
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fact-zoo-'));
  server.seen.length = 0;
  server.handler = (request, response) => serve(CONTENT, request, response, { etag: '"v"' });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const env = (): Record<string, string> => ({
  FACT_CACHE: join(folder, 'cache'),
  TORCH_HOME: join(folder, 'torch'),
});
const published = (change: Partial<PublishedFile> = {}): PublishedFile => ({
  file: `net-${PREFIX}.pth`,
  url: server.url('/net.pth'),
  hashPrefix: PREFIX,
  tensorBytes: CONTENT.length,
  ...change,
});
const get = (options: ObtainOptions = {}, change: Partial<PublishedFile> = {}) =>
  obtain(published(change), { env: env(), pauseMs: 1, ...options });
const failing = async (
  options: ObtainOptions = {},
  change: Partial<PublishedFile> = {},
): Promise<FactError> =>
  (await get(options, change).then(
    () => {
      throw new Error('it did not fail');
    },
    (error: unknown) => error,
  )) as FactError;
const put = (path: string, content: Uint8Array): string => {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  return path;
};

describe('a published file', () => {
  it('is fetched once into the cache', async () => {
    const first = await get();
    expect(first).toEqual({ path: join(folder, 'cache/zoo', `net-${PREFIX}.pth`), fetched: true });
    expect(await get()).toEqual({ ...first, fetched: false });
    expect(server.seen.length).toBe(1);
  });

  it("is taken from PyTorch's cache without copying or changing it", async () => {
    const path = put(join(torchFolders(env())[0], `net-${PREFIX}.pth`), CONTENT);
    const before = statSync(path).mtimeMs;
    expect(await get()).toEqual({ path, fetched: false });
    expect(statSync(path).mtimeMs).toBe(before);
    expect(readdirSync(dirname(path))).toEqual([`net-${PREFIX}.pth`]);
    expect(server.seen.length).toBe(0);
    expect(existsSync(join(folder, 'cache'))).toBe(false);
  });

  it("with other bytes in a cache is not used, and PyTorch's copy stays as it is", async () => {
    const path = put(join(torchFolders(env())[0], `net-${PREFIX}.pth`), Buffer.from('cut short'));
    const warnings: string[] = [];
    const got = await get({ log: { info: () => {}, warn: (line) => warnings.push(line) } });
    expect(got.fetched).toBe(true);
    expect(warnings[0]).toContain(path);
    expect(readFileSync(path, 'utf8')).toBe('cut short');
  });

  it('comes from a mirror: an address, or a folder', async () => {
    expect(
      (await get({ mirror: `${server.url('/mirror/')}` }, { url: 'https://no.such.host.invalid/x' })).fetched,
    ).toBe(true);
    expect(server.seen[0].path).toBe(`/mirror/net-${PREFIX}.pth`);
    rmSync(join(folder, 'cache'), { recursive: true });
    const path = put(join(folder, 'stick', `net-${PREFIX}.pth`), CONTENT);
    expect(await get({ mirror: join(folder, 'stick') })).toEqual({ path, fetched: false });
    rmSync(path);
    const named = { ...env(), FACT_ZOO_MIRROR: server.url('/from-env') };
    expect((await get({ env: named }, { url: 'https://no.such.host.invalid/x' })).fetched).toBe(true);
    expect(server.seen.at(-1)?.path).toBe(`/from-env/net-${PREFIX}.pth`);
  });

  it('offline is E_OFFLINE, which says where it may be put and where it comes from', async () => {
    for (const options of [{ offline: true }, { env: { ...env(), FACT_OFFLINE: '1' } }, { mirror: folder }]) {
      const error = await failing(options);
      expect(error.code).toBe('E_OFFLINE');
      expect(error.remedy).toContain(zooCacheFolder(env()));
      expect(error.remedy).toContain(server.url('/net.pth'));
    }
    expect(server.seen.length).toBe(0);
    const closed = await BadServer.start();
    const url = closed.url('/net.pth');
    await closed.stop();
    const error = await failing({}, { url });
    expect(error.code).toBe('E_OFFLINE');
    expect(error.message).toContain(join(folder, 'torch', 'hub', 'checkpoints'));
    expect(existsSync(join(folder, 'cache/zoo', `net-${PREFIX}.pth.part`))).toBe(false);
  });

  it('with wrong bytes, as a web page, or far too long is refused and nothing stays', async () => {
    const wrong = await failing({}, { hashPrefix: '0123456789' });
    expect(wrong.code).toBe('E_DOWNLOAD_HASH');
    server.handler = (_request, response) =>
      response.writeHead(200, { 'content-type': 'text/html' }).end('<html>');
    expect((await failing()).code).toBe('E_DOWNLOAD');
    server.handler = (_request, response) => response.writeHead(200, { 'content-length': 2 ** 31 }).end();
    expect((await failing()).message).toContain('2147483648');
    expect(readdirSync(join(folder, 'cache/zoo'))).toEqual([]);
  });

  it('without a published hash is taken as it lies, for its reader to check', async () => {
    const path = put(join(folder, 'cache/zoo/sae.pt'), Buffer.from('anything'));
    expect(await get({}, { file: 'sae.pt', hashPrefix: null })).toEqual({ path, fetched: false });
  });
});

describe('processes', () => {
  const children: ChildProcess[] = [];
  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
  });
  const start = () => {
    const { file, url } = published();
    const script = join(import.meta.dirname, 'obtainChild.ts');
    const child = spawn(process.execPath, ['--import', 'tsx', script, file, url, PREFIX], {
      env: { ...process.env, ...env(), NO_PROXY: '*' },
    });
    children.push(child);
    let out = '';
    child.stdout.on('data', (piece: Buffer) => {
      out += piece.toString();
    });
    return { child, done: once(child, 'close').then(([status]) => ({ status: status as number, out })) };
  };

  it('two at once fetch the file once; both have it', async () => {
    server.handler = (request, response) => setTimeout(() => serve(CONTENT, request, response), 300);
    const results = await Promise.all([start().done, start().done]);
    expect(results.map(({ status }) => status)).toEqual([0, 0]);
    expect(results.map(({ out }) => (JSON.parse(out) as { fetched: boolean }).fetched).sort()).toEqual([
      false,
      true,
    ]);
    expect(server.seen.length).toBe(1);
    expect(readdirSync(join(folder, 'cache/zoo'))).toEqual([`net-${PREFIX}.pth`]);
  });

  it.each(['SIGINT', 'SIGKILL'] as const)(
    'one that %s ends leaves a part that the next goes on from',
    async (name) => {
      const half = CONTENT.length / 2;
      server.handler = (_request, response) => {
        response.writeHead(200, { 'content-length': CONTENT.length, etag: '"v"' });
        response.write(CONTENT.subarray(0, half)); // and then nothing
      };
      const partOf = (): number => {
        const path = join(folder, 'cache/zoo', `net-${PREFIX}.pth.part`);
        return existsSync(path) ? statSync(path).size : 0;
      };
      const arrived = async (): Promise<void> => {
        while (partOf() < half) await new Promise((resolve) => setTimeout(resolve, 20));
      };
      const first = start();
      await arrived();
      first.child.kill(name);
      expect((await first.done).status).toBe(name === 'SIGINT' ? 130 : null);
      expect(partOf()).toBe(half);
      // A killed process cannot take its lock away: the next one sees that its owner is gone.
      expect(existsSync(join(folder, 'cache/zoo', `net-${PREFIX}.pth.lock`))).toBe(name === 'SIGKILL');
      server.handler = (request, response) => serve(CONTENT, request, response, { etag: '"v"' });
      expect((await get()).fetched).toBe(true);
      expect(server.seen.at(-1)?.range).toBe(`bytes=${half}-`);
    },
  );
});
