import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type DownloadOptions, download } from '../../src/core/download.js';
import { sha256 } from '../../src/core/hash.js';
import { Random } from '../../src/core/random.js';
import { BadServer, type Handler, serve } from './badServer.js';
import { CONTENT, DownloadCase, HASH } from './downloadCase.js';

const at = new DownloadCase();
const { target, left, fetchIt, failing } = at;

describe('a file that arrives', () => {
  it('has the right bytes and leaves nothing beside it; a second call fetches nothing', async () => {
    const good: Handler = (request, response) => serve(CONTENT, request, response);
    const seen: [number, number | null][] = [];
    const first = await fetchIt(good, { progress: (done, total) => seen.push([done, total]) });
    expect(first).toEqual({ path: target(), bytes: 300_000, sha256: HASH, fetched: true, continuedFrom: 0 });
    expect(Buffer.from(CONTENT).equals(readFileSync(target()))).toBe(true);
    expect(left()).toEqual(['net.pth']);
    expect(seen.at(-1)).toEqual([300_000, 300_000]);
    expect((await fetchIt(good)).fetched).toBe(false);
    expect(at.server.seen.length).toBe(1);
  });

  it('is continued with a range and the validator, whatever byte the connection drops at', async () => {
    let cut = 0;
    const random = new Random(9);
    const result = await fetchIt((request, response) => {
      cut = random.integer(60_000);
      serve(CONTENT, request, response, { etag: '"one"', cutAfter: cut });
    });
    expect(result.sha256).toBe(HASH);
    expect(at.server.seen.length).toBeGreaterThan(5);
    expect(at.server.seen[0].range).toBeUndefined();
    for (const { range, ifRange } of at.server.seen.slice(1)) {
      if (range === undefined) continue; // nothing had come yet
      expect(range).toMatch(/^bytes=\d+-$/);
      expect(ifRange).toBe('"one"');
    }
  });

  it('arrives when the connection drops at every byte of it in turn', async () => {
    const small = CONTENT.subarray(0, 48);
    for (let cut = 0; cut < small.length; cut++) {
      const result = await fetchIt(
        (request, response, index) =>
          serve(small, request, response, index % 2 === 0 ? { cutAfter: cut } : {}),
        { sha256: sha256(small), target: join(at.folder, `cut${cut}`) },
      );
      expect(result.bytes, `cut at ${cut}`).toBe(small.length);
    }
    expect(at.server.seen.length).toBe(2 * small.length);
  });

  it('starts again where the server answers a range with the whole file', async () => {
    const result = await fetchIt((request, response, index) =>
      serve(CONTENT, request, response, { ignoreRange: true, ...(index === 0 ? { cutAfter: 100_000 } : {}) }),
    );
    expect(result.sha256).toBe(HASH);
    expect(at.server.seen[1].range).toMatch(/^bytes=\d+-$/);
  });

  it('starts again where the file on the server changed in between', async () => {
    const old = Uint8Array.from(CONTENT, (v) => v ^ 1);
    const result = await fetchIt((request, response, index) =>
      index === 0
        ? serve(old, request, response, { etag: '"old"', cutAfter: 50_000 })
        : serve(CONTENT, request, response, { etag: '"new"' }),
    );
    expect(result.sha256).toBe(HASH);
  });

  it('starts again, once, where a kept part does not fit and the server has no validator', async () => {
    writeFileSync(`${target()}.part`, new Uint8Array(1000));
    const result = await fetchIt((request, response) => serve(CONTENT, request, response));
    expect(result.sha256).toBe(HASH);
    expect(at.server.seen.map(({ range }) => range)).toEqual(['bytes=1000-', undefined]);
  });

  it('uses what an interrupted call kept', async () => {
    writeFileSync(`${target()}.part`, CONTENT.subarray(0, 200_000));
    const result = await fetchIt((request, response) => serve(CONTENT, request, response));
    expect(result.continuedFrom).toBe(200_000);
    expect(at.server.seen.map(({ range }) => range)).toEqual(['bytes=200000-']);
  });

  it('is recognised where the part is complete (416) or longer than the file', async () => {
    writeFileSync(`${target()}.part`, CONTENT);
    expect((await fetchIt((q, a) => serve(CONTENT, q, a))).sha256).toBe(HASH);
    expect(at.server.seen.length).toBe(0);
    rmSync(target());
    writeFileSync(`${target()}.part`, new Uint8Array(400_000));
    expect((await fetchIt((q, a) => serve(CONTENT, q, a))).sha256).toBe(HASH);
  });

  it('waits for temporary answers, as long as the server asks', async () => {
    const result = await fetchIt((request, response, index) => {
      if (index < 3) response.writeHead([503, 429, 500][index], { 'retry-after': '0' }).end();
      else serve(CONTENT, request, response);
    });
    expect(result.sha256).toBe(HASH);
    expect(at.server.seen.length).toBe(4);
  });

  it('replaces a finished file that is another one', async () => {
    writeFileSync(target(), 'something else');
    expect((await fetchIt((q, a) => serve(CONTENT, q, a))).fetched).toBe(true);
    expect(readFileSync(target()).length).toBe(300_000);
  });

  it('arrives without a length', async () => {
    const unknown = await fetchIt((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/octet-stream' });
      response.end(CONTENT);
    });
    expect(unknown.sha256).toBe(HASH);
  });

  it('is fetched once by two calls at the same time', async () => {
    at.server.handler = (request, response) => serve(CONTENT, request, response);
    const options = { url: at.server.url('/net.pth'), target: target(), sha256: HASH, env: {} };
    const both = await Promise.all([download(options), download(options)]);
    expect(both.map(({ fetched }) => fetched).sort()).toEqual([false, true]);
    expect(at.server.seen.length).toBe(1);
    expect(left()).toEqual(['net.pth']);
  });
});

describe('a file without a published hash', () => {
  const unchecked = { unchecked: true, hashPrefix: undefined } as Partial<DownloadOptions>;

  it('is only continued where the server says that it is the same file', async () => {
    const old = Uint8Array.from(CONTENT, (v) => v ^ 1);
    const result = await fetchIt((request, response, index) => {
      const etag = index < 2 ? '"old"' : '"new"';
      serve(index < 2 ? old : CONTENT, request, response, {
        etag,
        ...(index < 2 ? { cutAfter: 100_000 } : {}),
      });
    }, unchecked);
    expect(result.sha256).toBe(HASH);
    rmSync(target());
    at.server.seen.length = 0;
    const plain = await fetchIt(
      (request, response, index) => serve(CONTENT, request, response, index === 0 ? { cutAfter: 1000 } : {}),
      unchecked,
    );
    expect(plain.sha256).toBe(HASH);
    expect(at.server.seen[1].range).toBeUndefined();
  });

  it('counts as it is once it is there, and must have a length', async () => {
    writeFileSync(target(), 'as it is');
    expect((await fetchIt(() => {}, unchecked)).fetched).toBe(false);
    rmSync(target());
    const error = await failing((_request, response) => {
      response.socket?.end('HTTP/1.1 200 OK\r\n\r\nsome bytes');
    }, unchecked);
    expect(error.message).toContain('how long');
  });
});

describe('no network, no room, no time', () => {
  it('E_OFFLINE where nothing listens', async () => {
    const closed = await BadServer.start();
    const url = closed.url('/net.pth');
    await closed.stop();
    const error = await failing(() => {}, { url, attempts: 2 });
    expect(error.code).toBe('E_OFFLINE');
    expect(error.remedy).toContain('HTTPS_PROXY');
  });

  it('an interrupt keeps the part, and the next call goes on', async () => {
    const controller = new AbortController();
    const reason = new Error('stopped by the user');
    const error = await failing(
      (_request, response) => {
        response.writeHead(200, { 'content-length': CONTENT.length, etag: '"a"' });
        response.write(CONTENT.subarray(0, 120_000));
      },
      {
        signal: controller.signal,
        progress: (done) => {
          if (done >= 120_000) controller.abort(reason);
        },
      },
    );
    expect(error).toBe(reason);
    expect(left()).toEqual(['net.pth.part', 'net.pth.part.json']);
    const result = await fetchIt((request, response) => serve(CONTENT, request, response, { etag: '"a"' }));
    expect(result.continuedFrom).toBe(120_000);
    expect(at.server.seen.at(-1)?.range).toBe('bytes=120000-');
    expect(at.server.seen.at(-1)?.ifRange).toBe('"a"');
  });

  it('a target that cannot be written is E_WRITE', async () => {
    writeFileSync(join(at.folder, 'file'), '');
    const error = await failing((q, a) => serve(CONTENT, q, a), {
      target: join(at.folder, 'file', 'net.pth'),
    });
    expect(error.code).toBe('E_WRITE');
  });

  it('a lock whose holder is gone is taken over; a living one is waited for', async () => {
    const { utimesSync } = await import('node:fs');
    const lock = `${target()}.lock`;
    writeFileSync(lock, 'process 1 on elsewhere');
    const past = new Date(Date.now() - 60_000);
    utimesSync(lock, past, past);
    expect((await fetchIt((q, a) => serve(CONTENT, q, a))).fetched).toBe(true);
    writeFileSync(lock, 'process 1 on elsewhere');
    const told: string[] = [];
    const log = { info: (line: string) => told.push(line), warn: () => {} };
    const controller = new AbortController();
    const waiting = failing(() => {}, { signal: controller.signal, log });
    while (told.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    controller.abort(new Error('enough'));
    expect((await waiting).message).toBe('enough');
    expect(told[0]).toContain('process 1 on elsewhere');
  });
});
