import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { download } from '../../src/core/download.js';
import type { FactError } from '../../src/core/errors.js';
import { sha256 } from '../../src/core/hash.js';
import { openTunnel, proxyAuthorization, proxyFor } from '../../src/core/proxy.js';
import { userCacheFolder } from '../../src/core/userCache.js';
import { BadServer, serve } from './badServer.js';

const at = (text: string, env: Record<string, string>): string | null =>
  proxyFor(new URL(text), env)?.href ?? null;

describe('the proxy of a URL', () => {
  it('is the one of its scheme, in upper or lower case, or that for all', () => {
    expect(at('https://h.example/', { HTTPS_PROXY: 'http://p:1' })).toBe('http://p:1/');
    expect(at('https://h.example/', { https_proxy: 'p:1' })).toBe('http://p:1/');
    expect(at('http://h.example/', { HTTPS_PROXY: 'http://p:1' })).toBeNull();
    expect(at('http://h.example/', { ALL_PROXY: 'http://q:2' })).toBe('http://q:2/');
    expect(at('https://h.example/', {})).toBeNull();
    expect(at('https://h.example/', { HTTPS_PROXY: '' })).toBeNull();
  });

  it('is none where NO_PROXY names the host', () => {
    const with_ = (list: string, url = 'https://a.h.example/'): string | null =>
      at(url, { HTTPS_PROXY: 'http://p:1', NO_PROXY: list });
    for (const list of ['*', 'a.h.example', 'h.example', '.h.example', '*.h.example', 'x, h.example:443'])
      expect(with_(list)).toBeNull();
    for (const list of ['', 'other', 'xh.example', 'h.example:8443', 'b.h.example'])
      expect(with_(list)).toBe('http://p:1/');
    expect(with_('[::1]', 'https://[::1]:9/')).toBeNull();
  });

  it('must be http or https: E_PROXY, without its password', () => {
    for (const wrong of ['socks5://user:secret@p:1', 'http://[', 'ftp://p']) {
      const act = (): unknown => at('https://h.example/', { HTTPS_PROXY: wrong });
      expect(act).toThrow(/HTTPS_PROXY/);
      expect(act).not.toThrow(/secret/);
    }
  });

  it('is signed in at with the name and password of its address', () => {
    expect(proxyAuthorization(new URL('http://us%40er:p%3Aw@p:1'))).toEqual({
      'proxy-authorization': `Basic ${Buffer.from('us@er:p:w').toString('base64')}`,
    });
    expect(proxyAuthorization(new URL('http://p:1'))).toEqual({});
  });
});

describe('a proxy in the way', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'fact-proxy-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('is asked for plain http files by their whole address', async () => {
    const content = Buffer.from('the file');
    const proxy = await BadServer.start();
    proxy.handler = (request, response) => serve(content, request, response);
    try {
      const env = { HTTP_PROXY: `http://me:pw@127.0.0.1:${proxy.port}` };
      const target = join(folder, 'x');
      const got = await download({
        url: 'http://no.such.host.invalid/x',
        target,
        sha256: sha256(content),
        env,
      });
      expect(got.bytes).toBe(content.length);
      expect(proxy.seen[0].path).toBe('http://no.such.host.invalid/x');
      expect(proxy.seen[0].headers.host).toBe('no.such.host.invalid');
      expect(proxy.seen[0].headers['proxy-authorization']).toMatch(/^Basic /);
    } finally {
      await proxy.stop();
    }
  });

  it('opens tunnels, with the bytes that follow its answer at once', async () => {
    const asked: string[] = [];
    const proxy = createServer();
    proxy.on('connect', (request, socket: Socket) => {
      asked.push(request.url ?? '');
      socket.write('HTTP/1.1 200 OK\r\n\r\nhello');
      socket.end();
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const url = new URL(`http://127.0.0.1:${(proxy.address() as AddressInfo).port}`);
    const socket = await openTunnel(url, '::1', 443, new AbortController().signal);
    const pieces: Buffer[] = [];
    for await (const piece of socket) pieces.push(piece as Buffer);
    expect(Buffer.concat(pieces).toString()).toBe('hello');
    expect(asked).toEqual(['[::1]:443']);
    await new Promise((resolve) => proxy.close(resolve));
  });

  it('that refuses is E_PROXY and named without its password', async () => {
    const proxy = createServer((_request, response) => response.end());
    proxy.on('connect', (_request, socket: Socket) =>
      socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n'),
    );
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const { port } = proxy.address() as AddressInfo;
    const env = { HTTPS_PROXY: `http://me:secret@127.0.0.1:${port}` };
    const failing = async (): Promise<FactError> =>
      (await download({
        url: 'https://no.such.host.invalid/x',
        target: join(folder, 'x'),
        hashPrefix: '0123456789',
        env,
        pauseMs: 1,
        attempts: 2,
      }).catch((e: unknown) => e)) as FactError;
    const refused = await failing();
    expect(refused.code).toBe('E_PROXY');
    expect(refused.message).toContain('407');
    expect(refused.message).not.toContain('secret');
    await new Promise((resolve) => proxy.close(resolve));
    expect((await failing()).code).toBe('E_PROXY');
  });

  it('passes TLS through untouched: what the far end says reaches the client', async () => {
    // The far end speaks no TLS; the client must notice, not fall back to plain text.
    const far = await BadServer.start();
    far.handler = (_request, response) => response.end('plain text');
    const proxy = createServer();
    proxy.on('connect', (_request, socket: Socket) => {
      const onward = connect(far.port, '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        onward.pipe(socket).pipe(onward);
      });
      for (const end of [socket, onward]) end.on('error', () => {});
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const env = { HTTPS_PROXY: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}` };
    const target = join(folder, 'x');
    const options = { url: 'https://far.invalid/x', target, sha256: sha256('plain text'), env };
    const error = (await download({ ...options, pauseMs: 1, attempts: 1 }).catch(
      (e: unknown) => e,
    )) as FactError;
    expect(error.code).toBe('E_DOWNLOAD');
    expect(far.seen).toEqual([]);
    await far.stop();
    await new Promise((resolve) => proxy.close(resolve));
  });
});

describe('the cache folder', () => {
  it('is FACT_CACHE, else the place of the system', () => {
    expect(userCacheFolder({ FACT_CACHE: '/a/b', XDG_CACHE_HOME: '/x' }, 'linux')).toBe('/a/b');
    expect(userCacheFolder({ XDG_CACHE_HOME: '/x' }, 'linux')).toBe('/x/fact-tfjs');
    expect(userCacheFolder({}, 'linux')).toMatch(/\.cache.fact-tfjs$/);
    expect(userCacheFolder({}, 'darwin')).toMatch(/Library.Caches.fact-tfjs$/);
    expect(userCacheFolder({ LOCALAPPDATA: '/l' }, 'win32')).toMatch(/fact-tfjs.cache$/);
  });
});
