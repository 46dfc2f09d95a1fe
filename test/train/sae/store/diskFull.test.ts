import { existsSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { useEngine } from '../../../engine.js';
import { smallModel } from '../../../explain/fixtures.js';
import { temporaryFolders } from '../../../fixtures/pictures.js';
import { hashes, write, writePictures } from './storeCase.js';

/** Bytes that still fit on the disk of this test. */
const disk = vi.hoisted(() => ({ free: Number.POSITIVE_INFINITY }));

vi.mock('node:fs/promises', async (importOriginal) => {
  const fs = await importOriginal<typeof import('node:fs/promises')>();
  const full = () => Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
  return {
    ...fs,
    open: async (...given: Parameters<typeof fs.open>): Promise<FileHandle> => {
      const handle = await fs.open(...given);
      const write = handle.write.bind(handle) as (...words: unknown[]) => Promise<unknown>;
      Object.assign(handle, {
        write: async (bytes: Uint8Array, offset: number, length: number, place: number | null) => {
          // As a real disk does: what still fits is written, then it fails.
          const fits = Math.min(length, disk.free);
          disk.free -= length;
          if (fits > 0) await write(bytes, offset, fits, place);
          if (fits < length) throw full();
          return { bytesWritten: length, buffer: bytes };
        },
      });
      return handle;
    },
  };
});

useEngine();
const folder = temporaryFolders();
afterAll(() => {
  disk.free = Number.POSITIVE_INFINITY;
});

describe('a full disk', () => {
  let network: ReturnType<typeof smallModel>;
  beforeAll(() => {
    network = smallModel();
  });
  afterAll(() => network.dispose());

  it.each([
    ['while rows are written', 9_000, '.rows'],
    ['while shards are made', 30_000, '.tmp'],
  ])('%s ends the work with E_WRITE; with room again it goes on to the same bytes', async (_, free, file) => {
    const data = folder();
    await writePictures(data, 12);
    const options = [{ shardBytes: 8192 }, { spillMemory: 4000 }] as const;
    const whole = join(folder(), 's');
    disk.free = Number.POSITIVE_INFINITY;
    await write(network, data, whole, ...options);
    const out = join(folder(), 's');
    disk.free = free;
    await expect(write(network, data, out, ...options)).rejects.toMatchObject({
      code: 'E_WRITE',
      message: expect.stringContaining(file),
      remedy: expect.stringContaining('disk space'),
    });
    expect(existsSync(join(out, 'store.json'))).toBe(false);
    disk.free = Number.POSITIVE_INFINITY;
    expect((await write(network, data, out, ...options)).status).toBe('done');
    expect(hashes(out)).toEqual(hashes(whole));
  });
});
