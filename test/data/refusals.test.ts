import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import * as tarMembers from '../../src/data/tarMembers.js';
import { MAX_SHARD_MEMORY_BYTES, openTarShards } from '../../src/data/tarShards.js';
import { temporaryFolders } from '../fixtures/pictures.js';

const folder = temporaryFolders();

it('names a shard that cannot be read', async () => {
  const path = join(folder(), 'x-train-000.tar');
  mkdirSync(path);
  await expect(openTarShards([path])).rejects.toMatchObject({
    code: 'E_SHARD_UNREADABLE',
    message: expect.stringContaining(path),
  });
});

it('refuses compressed shards beyond the limit of memory before it holds their pictures', async () => {
  const size = 2 ** 28;
  const announced: number[] = [];
  const scan = vi.spyOn(tarMembers, 'scanTar').mockImplementation(async (_path, wantsContent) => {
    for (let i = 0; i < 20; i++) {
      announced.push(i);
      wantsContent(`${i}.jpg`, size);
    }
  });
  try {
    await expect(openTarShards([join(folder(), 'x-train-000.tar.gz')])).rejects.toMatchObject({
      code: 'E_DATA_TOO_LARGE',
      remedy: expect.stringContaining('gunzip'),
    });
    expect(announced).toHaveLength(MAX_SHARD_MEMORY_BYTES / size + 1);
  } finally {
    scan.mockRestore();
  }
});
