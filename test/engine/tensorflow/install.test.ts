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
import { crc32, deflateRawSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { FactError } from '../../../src/core/errors.js';
import { sha256 } from '../../../src/core/hash.js';
import { Random } from '../../../src/core/random.js';
import {
  type InstallOptions,
  installTensorflow,
  isInstalled,
  removeTensorflow,
} from '../../../src/engine/tensorflow/install/install.js';
import { findFile, indexUrl } from '../../../src/engine/tensorflow/install/packageIndex.js';
import { unpackMembers } from '../../../src/engine/tensorflow/install/unpack.js';
import { type Wheel, wheelsFor } from '../../../src/engine/tensorflow/install/wheels.js';
import { installFolder, LIBRARY_NAMES } from '../../../src/engine/tensorflow/libraryPlace.js';
import { BadServer, type Handler, serve } from '../../core/badServer.js';

/** A zip archive as wheels are: deflated members, a directory at the end. */
function zip(members: Readonly<Record<string, Uint8Array>>): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const [name, content] of Object.entries(members)) {
    const packed = deflateRawSync(content);
    const fields = Buffer.alloc(26);
    fields.writeUInt16LE(20, 0);
    fields.writeUInt16LE(8, 4);
    fields.writeUInt32LE(crc32(content), 10);
    fields.writeUInt32LE(packed.length, 14);
    fields.writeUInt32LE(content.length, 18);
    fields.writeUInt16LE(name.length, 22);
    const local = Buffer.concat([Buffer.from('504b0304', 'hex'), fields, Buffer.from(name), packed]);
    const place = Buffer.alloc(14);
    place.writeUInt32LE(at, 10);
    directory.push(Buffer.from('504b01021400', 'hex'), fields, place, Buffer.from(name));
    parts.push(local);
    at += local.length;
  }
  const list = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write('504b0506', 'hex');
  end.writeUInt16LE(Object.keys(members).length, 8);
  end.writeUInt16LE(Object.keys(members).length, 10);
  end.writeUInt32LE(list.length, 12);
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...parts, list, end]);
}

const random = new Random(3);
const noise = (size: number): Uint8Array => Uint8Array.from({ length: size }, () => random.integer(256));
const LIBRARIES = LIBRARY_NAMES.map((name, i) => [`tensorflow/${name}`, noise(60_000 + i)] as const);
const ARCHIVE = zip({
  'tensorflow/__init__.py': Buffer.from('pass'),
  ...Object.fromEntries(LIBRARIES),
  'tensorflow/THIRD_PARTY_NOTICES.txt': Buffer.from('notices'),
});
const [PUBLISHED] = wheelsFor('cpu', 'linux', 'x64');
const WHEEL: Wheel = {
  ...PUBLISHED,
  file: 'tensorflow_cpu-2.18.1-cp311-cp311-any.whl',
  bytes: ARCHIVE.length,
  sha256: sha256(ARCHIVE),
  unpackedBytes: 120_008,
};

let server: BadServer;
let root = '';
let env: Record<string, string> = {};
beforeAll(async () => {
  server = await BadServer.start();
});
afterAll(() => server.stop());
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'fact-install-'));
  env = {
    FACT_HOME: join(root, 'home'),
    FACT_CACHE: join(root, 'cache'),
    PIP_INDEX_URL: server.url('/simple'),
    XDG_CONFIG_HOME: root,
  };
  server.seen.length = 0;
  return () => rmSync(root, { recursive: true, force: true });
});

/** An index in JSON, and the file by `file`. */
function index(file: Handler): Handler {
  return (request, response, i) => {
    if (request.url !== `/simple/${WHEEL.project}/`) return file(request, response, i);
    const page = JSON.stringify({
      files: [
        { filename: 'other.whl', url: '../x' },
        { filename: WHEEL.file, url: `../../files/${WHEEL.file}` },
      ],
    });
    response.writeHead(200, { 'content-type': 'application/vnd.pypi.simple.v1+json' }).end(page);
  };
}
const good: Handler = (request, response) => serve(ARCHIVE, request, response, { etag: '"a"' });

const install = (handler: Handler, options: Partial<InstallOptions> = {}) => {
  server.handler = handler;
  return installTensorflow({ variant: 'cpu', env, wheels: [WHEEL], ...options });
};
const failing = async (handler: Handler, options: Partial<InstallOptions> = {}): Promise<FactError> => {
  const error = await install(handler, options).then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).not.toBeNull();
  expect(isInstalled('cpu', env)).toBe(false);
  return error as FactError;
};

describe('installing tensorflow', () => {
  it('unpacks the libraries and nothing else, leaves no archive, and finds itself done the next time', async () => {
    const { folder, installed } = await install(index(good));
    expect([folder, installed]).toEqual([installFolder('cpu', env), true]);
    for (const [name, content] of LIBRARIES)
      expect(Buffer.from(content).equals(readFileSync(join(folder, name)))).toBe(true);
    expect(readdirSync(join(folder, 'tensorflow')).sort()).toEqual(
      [...LIBRARY_NAMES, 'THIRD_PARTY_NOTICES.txt'].sort(),
    );
    expect(JSON.parse(readFileSync(join(folder, 'install.json'), 'utf8')).from[0].sha256).toBe(WHEEL.sha256);
    expect(readdirSync(join(root, 'cache', 'wheels'))).toEqual([]);
    expect(readdirSync(join(root, 'home', 'engines'))).toEqual(['tensorflow-2.18.1-cpu']);
    const before = server.seen.length;
    expect((await install(index(good))).installed).toBe(false);
    expect(server.seen.length).toBe(before);
    expect((await install(index(good), { force: true })).installed).toBe(true);
    expect(removeTensorflow(env)).toContain(folder);
    expect(isInstalled('cpu', env)).toBe(false);
  });

  it('goes on where a connection dropped', async () => {
    await install(
      index((request, response) => serve(ARCHIVE, request, response, { etag: '"a"', cutAfter: 40_000 })),
    );
    expect(isInstalled('cpu', env)).toBe(true);
    expect(server.seen.filter(({ range }) => range !== undefined).length).toBeGreaterThan(1);
  });

  it('reads an index in HTML', async () => {
    const html = `<html><a href="/files/${WHEEL.file}#sha256=00">${WHEEL.file}</a></html>`;
    await install((request, response, i) =>
      request.url?.startsWith('/simple') === true
        ? response.writeHead(200, { 'content-type': 'text/html' }).end(html)
        : good(request, response, i),
    );
    expect(isInstalled('cpu', env)).toBe(true);
  });

  it('keeps nothing of a file with another hash', async () => {
    const other = Buffer.from(ARCHIVE);
    other[1000] ^= 1;
    const error = await failing(index((request, response) => serve(other, request, response)));
    expect(error.code).toBe('E_DOWNLOAD_HASH');
    expect(readdirSync(join(root, 'cache', 'wheels'))).toEqual([]);
  });

  it('refuses a server that promises or sends more than the file has', async () => {
    const long = Buffer.concat([ARCHIVE, Buffer.alloc(10)]);
    expect((await failing(index((request, response) => serve(long, request, response)))).code).toBe(
      'E_DOWNLOAD',
    );
    const unsaid = index((_request, response) => response.writeHead(200).end(long));
    expect((await failing(unsaid)).code).toBe('E_DOWNLOAD');
  });

  it('says that the index has no such file, or cannot be reached', async () => {
    const empty: Handler = (_request, response) =>
      response.writeHead(200, { 'content-type': 'application/vnd.pypi.simple.v1+json' }).end('{"files":[]}');
    expect(await failing(empty)).toMatchObject({
      code: 'E_ENGINE_INSTALL',
      message: expect.stringContaining(`has no file ${WHEEL.file}`),
    });
    expect(await failing((_request, response) => response.writeHead(503).end())).toMatchObject({
      code: 'E_ENGINE_INSTALL',
      message: expect.stringContaining('503'),
    });
  });

  it('looks for room on the disk before it fetches anything', async () => {
    const error = await failing(index(good), { wheels: [{ ...WHEEL, unpackedBytes: 1e17 }] });
    expect(error).toMatchObject({ code: 'E_WRITE', message: expect.stringContaining('are free') });
    expect(server.seen).toEqual([]);
  });

  it('is done once by two at the same time', async () => {
    const results = await Promise.all([install(index(good)), install(index(good))]);
    expect(results.map(({ installed }) => installed).sort()).toEqual([false, true]);
    expect(server.seen.filter(({ path }) => path.startsWith('/files')).length).toBe(1);
  });

  it('stops at a signal and goes on the next time', async () => {
    const controller = new AbortController();
    const half: Handler = (_request, response) => {
      response.writeHead(200, { 'content-length': ARCHIVE.length, etag: '"a"' });
      response.write(ARCHIVE.subarray(0, 50_000), () => setTimeout(() => controller.abort(), 20));
    };
    await expect(install(index(half), { signal: controller.signal })).rejects.toMatchObject({
      name: 'AbortError',
    });
    expect(isInstalled('cpu', env)).toBe(false);
    server.seen.length = 0;
    await install(index(good));
    expect(server.seen.at(-1)?.range).toBe('bytes=50000-');
  });

  it('replaces a folder that an older attempt left incomplete', async () => {
    const folder = join(installFolder('cpu', env), 'tensorflow');
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, LIBRARY_NAMES[0]), 'x');
    expect((await install(index(good))).installed).toBe(true);
    expect(readFileSync(join(folder, LIBRARY_NAMES[0])).length).toBe(60_000);
  });
});

describe('the package index', () => {
  it('is that of PIP_INDEX_URL, else of pip’s own file, else the public one', () => {
    expect(indexUrl({ PIP_INDEX_URL: 'https://mirror.example/simple/' }).host).toBe('mirror.example');
    const file = join(root, 'pip.conf');
    writeFileSync(file, '[global]\ntimeout = 3\nindex-url = https://conf.example/simple\n');
    expect(indexUrl({ PIP_CONFIG_FILE: file }).host).toBe('conf.example');
    expect(() => indexUrl({ PIP_INDEX_URL: 'ftp://x' })).toThrow(
      expect.objectContaining({ code: 'E_ENGINE_INSTALL' }),
    );
    expect(() => indexUrl({ PIP_INDEX_URL: 'no address' })).toThrow(
      expect.objectContaining({ code: 'E_ENGINE_INSTALL' }),
    );
  });

  it('is signed in at with the name and password of its address, its files on other hosts are not', async () => {
    const address = new URL(server.url('/simple'));
    address.username = 'me';
    address.password = 'secret';
    const page =
      (url: string): Handler =>
      (_request, response) =>
        response
          .writeHead(200, { 'content-type': 'application/json' })
          .end(JSON.stringify({ files: [{ filename: 'a.whl', url }] }));
    server.handler = page('a.whl');
    const here = await findFile('p', 'a.whl', { env: { ...env, PIP_INDEX_URL: address.href } });
    expect(server.seen[0].headers.authorization).toBe(`Basic ${btoa('me:secret')}`);
    expect(here.url).toBe(server.url('/simple/p/a.whl'));
    expect(here.headers).toHaveProperty('authorization');
    server.handler = page('https://files.example/a.whl#sha256=1');
    const there = await findFile('p', 'a.whl', { env: { ...env, PIP_INDEX_URL: address.href } });
    expect(there).toEqual({ url: 'https://files.example/a.whl', headers: {} });
  });
});

describe('the plan', () => {
  it('names TensorFlow for each machine, and for a GPU the libraries of CUDA, each with size and hash', () => {
    for (const [platform, arch] of [
      ['linux', 'x64'],
      ['linux', 'arm64'],
      ['darwin', 'arm64'],
    ]) {
      const wheels = wheelsFor('cpu', platform, arch, '2.36');
      expect(wheels.length).toBe(1);
      expect(wheels[0].file).toContain('2.18.1');
    }
    const gpu = wheelsFor('gpu', 'linux', 'x64', '2.36');
    expect(gpu.map(({ project }) => project)).toContain('nvidia-cudnn-cu12');
    expect(gpu.length).toBe(13);
    expect(new Set(gpu.map(({ sha256 }) => sha256)).size).toBe(13);
    for (const { sha256, bytes, file } of gpu) {
      expect(sha256).toMatch(/^[0-9a-f]{64}$/);
      expect(bytes).toBeGreaterThan(800_000);
      expect(file).toMatch(/x86_64\.whl$/);
    }
  });

  it('is refused where there is no library', () => {
    const unsupported = expect.objectContaining({ code: 'E_ENGINE_UNSUPPORTED' });
    expect(() => wheelsFor('cpu', 'win32', 'x64', null)).toThrow(unsupported);
    expect(() => wheelsFor('gpu', 'darwin', 'arm64', null)).toThrow(unsupported);
    expect(() => wheelsFor('cpu', 'linux', 'x64', null)).toThrow(/musl/);
  });
});

describe('an archive', () => {
  it('that is none, or whose member is damaged, is refused', async () => {
    const path = join(root, 'a.whl');
    writeFileSync(path, 'no archive at all');
    await expect(unpackMembers(path, /./, root)).rejects.toMatchObject({ code: 'E_ENGINE_INSTALL' });
    const damaged = Buffer.from(ARCHIVE);
    damaged.fill(255, 200, 400);
    writeFileSync(path, damaged);
    await expect(unpackMembers(path, /libtensorflow/, join(root, 'out'))).rejects.toMatchObject({
      code: 'E_ENGINE_INSTALL',
    });
  });

  it('cannot write outside its folder', async () => {
    const path = join(root, 'a.whl');
    writeFileSync(path, zip({ 'tensorflow/../../x': Buffer.from('x') }));
    await expect(unpackMembers(path, /./, join(root, 'out'))).rejects.toMatchObject({
      code: 'E_ENGINE_INSTALL',
    });
    expect(existsSync(join(root, 'x'))).toBe(false);
  });
});
