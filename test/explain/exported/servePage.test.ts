import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { servePage } from '../../../src/explain/exported/servePage.js';

let folder: string;
let server: Server;
let address: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'fact-serve-'));
  mkdirSync(join(folder, 'page'));
  writeFileSync(join(folder, 'secret.txt'), 'secret');
  writeFileSync(join(folder, 'page', 'index.html'), '<p>page');
  writeFileSync(join(folder, 'page', 'a.wasm'), 'wasm');
  ({ server, address } = await servePage(join(folder, 'page'), 0));
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

/** The answer to a request line that a browser would have tidied. */
function rawStatus(target: string): Promise<string> {
  return new Promise((done, fail) => {
    const socket = connect(Number(new URL(address).port), 'localhost', () =>
      socket.end(`GET ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`),
    );
    let text = '';
    socket.on('data', (data) => {
      text += data;
    });
    socket.on('end', () => done(text));
    socket.on('error', fail);
  });
}

describe('the server of a page', () => {
  it('serves files with the headers that isolate the page', async () => {
    const answer = await fetch(address);
    expect(await answer.text()).toBe('<p>page');
    expect(answer.headers.get('content-type')).toContain('text/html');
    expect(answer.headers.get('cross-origin-opener-policy')).toBe('same-origin');
    expect(answer.headers.get('cross-origin-embedder-policy')).toBe('require-corp');
    const head = await fetch(`${address}a.wasm`, { method: 'HEAD' });
    expect(head.headers.get('content-type')).toBe('application/wasm');
    expect(head.headers.get('content-length')).toBe('4');
  });

  it.each(['/missing', '/../secret.txt', '/%2e%2e/secret.txt', '/..%2fsecret.txt', '//', '/%00', '/%zz'])(
    'gives nothing for %s',
    async (target) => {
      const text = await rawStatus(target);
      expect(text).toMatch(/^HTTP\/1\.1 404/);
      expect(text).not.toContain('secret');
    },
  );

  it('refuses to write', async () => {
    expect((await fetch(`${address}a.wasm`, { method: 'PUT', body: 'x' })).status).toBe(404);
  });

  it('says so where the port is taken', async () => {
    const port = Number(new URL(address).port);
    await expect(servePage(folder, port)).rejects.toMatchObject({
      code: 'E_SERVE',
      message: expect.stringContaining(String(port)),
    });
  });
});
