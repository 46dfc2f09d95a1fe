import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { MAX_REDIRECTS, redirectTarget } from '../../src/core/httpGet.js';
import { BadServer, serve } from './badServer.js';
import { CONTENT, DownloadCase, HASH } from './downloadCase.js';

const at = new DownloadCase();
const { target, left, fetchIt, failing } = at;

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
    expect(at.server.seen.length).toBeLessThan(8);
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
    expect(at.server.seen.length).toBe(1);
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
    expect(at.server.seen.length).toBe(MAX_REDIRECTS + 1);
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
