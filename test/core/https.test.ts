import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createHttp } from 'node:http';
import { createServer, type Server } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sha256 } from '../../src/core/hash.js';
import { BadServer, serve } from './badServer.js';

const hasOpenssl = spawnSync('openssl', ['version']).status === 0;
const CONTENT = Buffer.from('weights '.repeat(20_000));

describe.skipIf(!hasOpenssl)('https (skipped without openssl, which makes the certificate)', () => {
  let folder = '';
  let server: Server;
  let plain: BadServer;
  let certificate = '';
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'fact-https-'));
    certificate = join(folder, 'cert.pem');
    const key = join(folder, 'key.pem');
    const names = 'subjectAltName=DNS:localhost,DNS:zoo.invalid,IP:127.0.0.1';
    const make = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    execFileSync(
      'openssl',
      [
        ...make,
        '-keyout',
        key,
        '-out',
        certificate,
        '-days',
        '2',
        '-subj',
        '/CN=localhost',
        '-addext',
        names,
      ],
      { stdio: 'ignore' },
    );
    plain = await BadServer.start();
    plain.handler = (request, response) => serve(CONTENT, request, response);
    server = createServer(
      { key: readFileSync(key), cert: readFileSync(certificate) },
      (request, response) => {
        if (request.url === '/down') response.writeHead(302, { location: plain.url('/file') }).end();
        else serve(CONTENT, request, response);
      },
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterAll(async () => {
    await plain.stop();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    rmSync(folder, { recursive: true, force: true });
  });

  let count = 0;
  const port = (): number => (server.address() as AddressInfo).port;
  const run = async (url: string, env: Record<string, string> = {}, ...rest: string[]): Promise<string> => {
    const script = join(import.meta.dirname, 'downloadChild.ts');
    const target = join(folder, `file${count++}`);
    const clean = {
      ...process.env,
      NODE_EXTRA_CA_CERTS: certificate,
      HTTPS_PROXY: '',
      https_proxy: '',
      NO_PROXY: '',
      no_proxy: '',
      ...env,
    };
    const child = spawn(
      process.execPath,
      ['--import', 'tsx', script, url, target, sha256(CONTENT), ...rest],
      { env: clean },
    );
    let out = '';
    child.stdout.on('data', (piece: Buffer) => {
      out += piece.toString();
    });
    await once(child, 'close');
    return out;
  };

  it('is fetched directly, and through a proxy that only sees the name of the host', async () => {
    expect(await run(`https://localhost:${port()}/file`)).toContain('"fetched":true');
    const asked: string[] = [];
    const sockets: Socket[] = [];
    const proxy = createHttp();
    proxy.on('connect', (request, socket: Socket) => {
      asked.push(request.url ?? '');
      sockets.push(socket);
      const onward = connect(port(), '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
        onward.pipe(socket).pipe(onward);
      });
      for (const end of [socket, onward]) end.on('error', () => {});
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const env = { HTTPS_PROXY: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}` };
    expect(await run('https://zoo.invalid/file', env)).toContain('"fetched":true');
    expect(asked).toEqual(['zoo.invalid:443']);
    for (const socket of sockets) socket.destroy(); // tunnels are no connections of the server any more
    await new Promise((resolve) => proxy.close(resolve));
  });

  it('with a certificate that is not trusted is E_DOWNLOAD, which names NODE_EXTRA_CA_CERTS', async () => {
    const out = await run(`https://localhost:${port()}/file`, { NODE_EXTRA_CA_CERTS: '' });
    expect(out).toMatch(/^E_DOWNLOAD .*not trusted.*NODE_EXTRA_CA_CERTS/);
  });

  it('does not become plain http by a redirect, unless that is allowed', async () => {
    expect(await run(`https://localhost:${port()}/down`)).toMatch(/^E_DOWNLOAD_REDIRECT .*plain http/);
    expect(plain.seen).toEqual([]);
    expect(await run(`https://localhost:${port()}/down`, {}, 'downgrade')).toContain('"fetched":true');
  });
});
