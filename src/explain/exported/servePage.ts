/** A small web server for a written page, on this computer only. */
import { createReadStream, statSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize, sep } from 'node:path';
import { FactError, messageOf } from '../../core/errors.js';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.json': 'application/json',
  '.wasm': 'application/wasm',
  '.jpg': 'image/jpeg',
  '.png': 'image/png',
};

/** The headers that isolate a page from other origins, which WebAssembly threads need. */
const ISOLATION = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

/** The file that an address means, or null where it is none below `folder`. */
function fileOf(folder: string, address: string): string | null {
  let path: string;
  try {
    path = decodeURIComponent(new URL(address, 'http://localhost').pathname);
  } catch {
    return null; // not an address
  }
  const file = normalize(join(folder, path.endsWith('/') ? `${path}index.html` : path));
  if (!file.startsWith(folder + sep) || file.includes('\0')) return null;
  return statSync(file, { throwIfNoEntry: false })?.isFile() ? file : null;
}

/**
 * Serves a folder at http://localhost:PORT/ until the server is closed; port 0 takes a free one.
 * Throws FactError E_SERVE where the port cannot be had.
 */
export async function servePage(folder: string, port: number): Promise<{ server: Server; address: string }> {
  const root = normalize(folder);
  const server = createServer((request, response) => {
    const file =
      request.method === 'GET' || request.method === 'HEAD' ? fileOf(root, request.url ?? '/') : null;
    if (file === null) {
      response.writeHead(404, ISOLATION).end();
      return;
    }
    response.writeHead(200, {
      ...ISOLATION,
      'Content-Type': TYPES[extname(file)] ?? 'application/octet-stream',
      'Content-Length': statSync(file).size,
    });
    if (request.method === 'HEAD') response.end();
    else createReadStream(file).pipe(response);
  });
  await new Promise<void>((done, fail) => {
    server.once('error', (error) =>
      fail(
        new FactError({
          code: 'E_SERVE',
          message: `cannot serve at port ${port}: ${messageOf(error)}`,
          remedy: 'Give another port: --serve 8081.',
          cause: error,
        }),
      ),
    );
    server.listen(port, 'localhost', done);
  });
  return { server, address: `http://localhost:${(server.address() as AddressInfo).port}/` };
}
