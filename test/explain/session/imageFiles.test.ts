import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { filledGroup, groupSize } from '../../../src/explain/session/explainFiles.js';
import { ImageFiles, MAX_SKIPPED, readImage } from '../../../src/explain/session/imageFiles.js';
import { smallModel } from '../fixtures.js';

describe('picture files', () => {
  const root = mkdtempSync(join(tmpdir(), 'fact-images-'));
  const good = join(root, 'School-Bus', 'a.png');
  const bad = join(root, 'School-Bus', 'b.png');
  const model = smallModel();
  const { spec } = model;
  beforeAll(async () => {
    mkdirSync(join(root, 'School-Bus'));
    await sharp({ create: { width: 50, height: 70, channels: 3, background: '#336699' } })
      .png()
      .toFile(good);
    writeFileSync(bad, 'nothing');
  });
  afterAll(() => {
    model.dispose();
    rmSync(root, { recursive: true, force: true });
  });

  async function collect(paths: readonly string[], size = 2) {
    const files = new ImageFiles(paths, spec);
    const sizes: number[] = [];
    for await (const group of files.groups(size)) sizes.push(group.length);
    return { sizes, skipped: files.skipped };
  }

  it('are read as the network sees them, with the true class of a folder named like one', async () => {
    const image = await readImage(good, spec);
    expect([image.width, image.height, image.pixels.length]).toEqual([32, 32, 32 * 32 * 3]);
    expect([...image.pixels.subarray(0, 3)]).toEqual([0x33, 0x66, 0x99]);
    expect(spec.classNames?.[image.trueClass ?? -1]).toBe('school bus');
  });

  it('come in groups, broken ones named and left out', async () => {
    const { sizes, skipped } = await collect([good, bad, good, good]);
    expect(sizes).toEqual([2, 1]);
    expect(skipped).toMatchObject([{ name: bad, code: 'E_IMAGE_FORMAT' }]);
  });

  it('fail with the first error where all are broken', async () => {
    await expect(collect([bad, bad])).rejects.toMatchObject({ code: 'E_IMAGE_FORMAT' });
  });

  it('fail after too many broken ones', async () => {
    const many = new Array<string>(MAX_SKIPPED + 1).fill(bad);
    await expect(collect([good, ...many])).rejects.toMatchObject({ code: 'E_IMAGE_TOO_MANY_BROKEN' });
    expect((await collect([good, ...many.slice(1)])).skipped).toHaveLength(MAX_SKIPPED);
  });

  it('go to the network in groups that bound the pixels of a call', async () => {
    expect([groupSize(64, 64, 100), groupSize(64, 64, 3), groupSize(224, 224, 100)]).toEqual([8, 3, 1]);
    const image = await readImage(good, spec);
    expect(filledGroup([image], 3)).toEqual([image, image, image]);
  });
});
