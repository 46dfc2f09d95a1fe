import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { download } from '../../src/core/download.js';
import type { FactError } from '../../src/core/errors.js';
import { sha256 } from '../../src/core/hash.js';
import { BadServer, serve } from './badServer.js';

/** Bytes that still fit on the disk of this test. */
const disk = vi.hoisted(() => ({ free: Number.POSITIVE_INFINITY }));

vi.mock('node:fs/promises', async (importOriginal) => {
  const fs = await importOriginal<typeof import('node:fs/promises')>();
  return {
    ...fs,
    open: async (...args: Parameters<typeof fs.open>) => {
      const handle = await fs.open(...args);
      const write = handle.write.bind(handle) as (b: Uint8Array, o: number, n: number) => Promise<unknown>;
      handle.write = (async (bytes: Uint8Array, offset: number, length: number) => {
        disk.free -= length;
        if (disk.free < 0)
          throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
        return write(bytes, offset, length);
      }) as typeof handle.write;
      return handle;
    },
  };
});

it('a full disk ends a download with E_WRITE; what fitted stays and is gone on from', async () => {
  const content = Buffer.alloc(600_000, 'fact');
  const server = await BadServer.start();
  server.handler = (request, response) => serve(content, request, response, { etag: '"a"' });
  const folder = mkdtempSync(join(tmpdir(), 'fact-full-'));
  try {
    const options = { url: server.url('/x'), target: join(folder, 'x'), sha256: sha256(content), env: {} };
    disk.free = 250_000;
    const error = (await download(options).catch((e: unknown) => e)) as FactError;
    expect(error.code).toBe('E_WRITE');
    expect(error.remedy).toContain('disk space');
    expect(readdirSync(folder).sort()).toEqual(['x.part', 'x.part.json']);
    expect(server.seen.length).toBe(1);
    disk.free = Number.POSITIVE_INFINITY;
    const got = await download(options);
    expect(got.continuedFrom).toBeGreaterThan(0);
    expect(readdirSync(folder)).toEqual(['x']);
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});
