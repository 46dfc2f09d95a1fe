import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type DownloadOptions, download } from '../../src/core/download.js';
import type { FactError } from '../../src/core/errors.js';
import { sha256 } from '../../src/core/hash.js';
import { MAX_REDIRECTS, redirectTarget } from '../../src/core/httpGet.js';
import { Random } from '../../src/core/random.js';
import { BadServer, type Handler, serve } from './badServer.js';

/** 300,000 bytes that no compression or repetition hides. */
const CONTENT = (() => {
  const random = new Random(4);
  return Uint8Array.from({ length: 300_000 }, () => random.integer(256));
})();
const HASH = sha256(CONTENT);

let server: BadServer;
let folder = '';
beforeAll(async () => {
  server = await BadServer.start();
});
afterAll(() => server.stop());
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fact-download-'));
  server.seen.length = 0;
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const target = (): string => join(folder, 'net.pth');
const fetchIt = (handler: Handler, options: Partial<DownloadOptions> = {}) => {
  server.handler = handler;
  return download({
    url: server.url('/net.pth'),
    target: target(),
    hashPrefix: HASH.slice(0, 10),
    pauseMs: 1,
    env: {},
    ...options,
  });
};
const failing = async (handler: Handler, options: Partial<DownloadOptions> = {}): Promise<FactError> => {
  const error = await fetchIt(handler, options).then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).not.toBeNull();
  return error as FactError;
};
const left = (): string[] => readdirSync(folder).sort();

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
    expect(server.seen.length).toBe(1);
  });

  it('is continued with a range and the validator, whatever byte the connection drops at', async () => {
    let cut = 0;
    const random = new Random(9);
    const result = await fetchIt((request, response) => {
      cut = random.integer(60_000);
      serve(CONTENT, request, response, { etag: '"one"', cutAfter: cut });
    });
    expect(result.sha256).toBe(HASH);
    expect(server.seen.length).toBeGreaterThan(5);
    expect(server.seen[0].range).toBeUndefined();
    for (const { range, ifRange } of server.seen.slice(1)) {
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
        { sha256: sha256(small), target: join(folder, `cut${cut}`) },
      );
      expect(result.bytes, `cut at ${cut}`).toBe(small.length);
    }
    expect(server.seen.length).toBe(2 * small.length);
  });

  it('starts again where the server answers a range with the whole file', async () => {
    const result = await fetchIt((request, response, index) =>
      serve(CONTENT, request, response, { ignoreRange: true, ...(index === 0 ? { cutAfter: 100_000 } : {}) }),
    );
    expect(result.sha256).toBe(HASH);
    expect(server.seen[1].range).toMatch(/^bytes=\d+-$/);
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
    expect(server.seen.map(({ range }) => range)).toEqual(['bytes=1000-', undefined]);
  });

  it('uses what an interrupted call kept', async () => {
    writeFileSync(`${target()}.part`, CONTENT.subarray(0, 200_000));
    const result = await fetchIt((request, response) => serve(CONTENT, request, response));
    expect(result.continuedFrom).toBe(200_000);
    expect(server.seen.map(({ range }) => range)).toEqual(['bytes=200000-']);
  });

  it('is recognised where the part is complete (416) or longer than the file', async () => {
    writeFileSync(`${target()}.part`, CONTENT);
    expect((await fetchIt((q, a) => serve(CONTENT, q, a))).sha256).toBe(HASH);
    expect(server.seen.length).toBe(0);
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
    expect(server.seen.length).toBe(4);
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
    server.handler = (request, response) => serve(CONTENT, request, response);
    const options = { url: server.url('/net.pth'), target: target(), sha256: HASH, env: {} };
    const both = await Promise.all([download(options), download(options)]);
    expect(both.map(({ fetched }) => fetched).sort()).toEqual([false, true]);
    expect(server.seen.length).toBe(1);
    expect(left()).toEqual(['net.pth']);
  });
});

describe('a server that lies', () => {
  it('sends wrong bytes: E_DOWNLOAD_HASH, nothing is kept', async () => {
    const error = await failing((request, response) =>
      serve(
        CONTENT.map((v) => v ^ 7),
        request,
        response,
      ),
    );
    expect(error.code).toBe('E_DOWNLOAD_HASH');
    expect(error.message).toContain(HASH.slice(0, 10));
    expect(left()).toEqual([]);
  });

  it('sends a web page, under its own name or another', async () => {
    const page = Buffer.from('<!DOCTYPE html><html><body>Sign in</body></html>');
    const named = await failing((_request, response) =>
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(page),
    );
    expect(named.code).toBe('E_DOWNLOAD');
    expect(named.message).toContain('web page');
    const hidden = await failing((request, response) => serve(page, request, response));
    expect(hidden.code).toBe('E_DOWNLOAD_HASH');
    expect(hidden.message).toContain('web page');
    expect(existsSync(target())).toBe(false);
  });

  it('says a length that is too short: the rest is missing, so the hash is wrong', async () => {
    const error = await failing((_request, response) => {
      response.writeHead(200, { 'content-length': 1000 });
      response.end(CONTENT.subarray(0, 1000));
    });
    expect(error.code).toBe('E_DOWNLOAD_HASH');
    expect(left()).toEqual([]);
  });

  it('says a length that is too long: E_DOWNLOAD after a few attempts, the bytes stay', async () => {
    const error = await failing((_request, response) => {
      response.writeHead(200, { 'content-length': 400_000 });
      response.write(CONTENT, () => setTimeout(() => response.destroy(), 5));
    });
    expect(error.code).toBe('E_DOWNLOAD');
    expect(server.seen.length).toBeLessThan(8);
    expect(existsSync(target())).toBe(false);
  });

  it('sends more than the file can have, with and without saying so', async () => {
    const said = await failing((q, a) => serve(CONTENT, q, a), { maxBytes: 1000 });
    expect(said.message).toContain('1000 bytes');
    const endless = await failing(
      (_request, response) => {
        response.writeHead(200);
        const more = (): void => {
          if (!response.destroyed) response.write(CONTENT, () => setImmediate(more));
        };
        more();
      },
      { maxBytes: 1_000_000 },
    );
    expect(endless.code).toBe('E_DOWNLOAD');
    expect(left()).toEqual([]);
  });

  it('answers a range with another part', async () => {
    writeFileSync(`${target()}.part`, CONTENT.subarray(0, 1000));
    const result = await fetchIt((request, response) => {
      if (request.headers.range === undefined) return serve(CONTENT, request, response);
      response.writeHead(206, { 'content-range': 'bytes 0-9/300000', 'content-length': 10 });
      response.end(CONTENT.subarray(0, 10));
    });
    expect(result.sha256).toBe(HASH);
  });

  it('refuses every range with 416', async () => {
    writeFileSync(`${target()}.part`, CONTENT.subarray(0, 1000));
    const result = await fetchIt((request, response) => {
      if (request.headers.range === undefined) return serve(CONTENT, request, response);
      response.writeHead(416).end();
    });
    expect(result.sha256).toBe(HASH);
    rmSync(target());
    expect((await failing((_request, response) => response.writeHead(416).end())).code).toBe('E_DOWNLOAD');
  });

  it('compresses what was not to be compressed', async () => {
    const error = await failing((_request, response) =>
      response.writeHead(200, { 'content-encoding': 'gzip' }).end('x'),
    );
    expect(error.message).toContain('gzip');
  });

  it('sends a drop at a time: too slow, E_DOWNLOAD', async () => {
    const error = await failing(
      (_request, response) => {
        response.writeHead(200, { 'content-length': 300_000 });
        const drip = setInterval(() => response.write(CONTENT.subarray(0, 1)), 20);
        response.on('close', () => clearInterval(drip));
      },
      { timeoutMs: 100, attempts: 2 },
    );
    expect(error.code).toBe('E_DOWNLOAD');
    expect(error.message).toContain('bytes a second');
  });

  it('accepts the connection and never answers', async () => {
    const error = await failing(() => {}, { timeoutMs: 60, attempts: 2 });
    expect(error.code).toBe('E_DOWNLOAD');
  });

  it.each([401, 403, 404, 410, 418])('answers %i: E_DOWNLOAD at once', async (status) => {
    const error = await failing((_request, response) => response.writeHead(status).end('no'));
    expect(error.code).toBe('E_DOWNLOAD');
    expect(error.message).toContain(String(status));
    expect(server.seen.length).toBe(1);
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
    server.seen.length = 0;
    const plain = await fetchIt(
      (request, response, index) => serve(CONTENT, request, response, index === 0 ? { cutAfter: 1000 } : {}),
      unchecked,
    );
    expect(plain.sha256).toBe(HASH);
    expect(server.seen[1].range).toBeUndefined();
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

describe('redirects', () => {
  it('are followed, without what signs in to another host, and a query is never shown', async () => {
    const other = await BadServer.start();
    other.handler = (request, response) => serve(CONTENT, request, response);
    try {
      const result = await fetchIt(
        (_request, response) =>
          response.writeHead(302, { location: other.url('/file?signature=secret') }).end(),
        { headers: { authorization: 'Bearer x', 'x-own': 'y' } },
      );
      expect(result.sha256).toBe(HASH);
      expect(other.seen[0].headers.authorization).toBeUndefined();
      expect(other.seen[0].headers['x-own']).toBe('y');
      other.handler = (_request, response) => response.writeHead(404).end();
      rmSync(target());
      const error = await failing((_request, response) =>
        response.writeHead(302, { location: other.url('/file?signature=secret') }).end(),
      );
      expect(error.message).not.toContain('secret');
    } finally {
      await other.stop();
    }
  });

  it('in a circle, without an address, or to another scheme end with E_DOWNLOAD_REDIRECT', async () => {
    const circle = await failing((_request, response) =>
      response.writeHead(302, { location: '/net.pth' }).end(),
    );
    expect(circle.code).toBe('E_DOWNLOAD_REDIRECT');
    expect(server.seen.length).toBe(MAX_REDIRECTS + 1);
    for (const headers of [{}, { location: 'file:///etc/passwd' }, { location: 'ht tp://[' }]) {
      const error = await failing((_request, response) => response.writeHead(301, headers).end());
      expect(error.code).toBe('E_DOWNLOAD_REDIRECT');
    }
    expect(existsSync(target())).toBe(false);
  });

  it('from https to http are refused unless allowed', () => {
    const from = new URL('https://a.example/x');
    expect(() => redirectTarget(from, 'http://b.example/y', false)).toThrow(/plain http/);
    expect(redirectTarget(from, 'http://b.example/y', true).href).toBe('http://b.example/y');
    expect(redirectTarget(from, '/y', false).href).toBe('https://a.example/y');
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
    expect(server.seen.at(-1)?.range).toBe('bytes=120000-');
    expect(server.seen.at(-1)?.ifRange).toBe('"a"');
  });

  it('a target that cannot be written is E_WRITE', async () => {
    writeFileSync(join(folder, 'file'), '');
    const error = await failing((q, a) => serve(CONTENT, q, a), { target: join(folder, 'file', 'net.pth') });
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
