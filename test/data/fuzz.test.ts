import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { FactError } from '../../src/core/errors.js';
import { Random } from '../../src/core/random.js';
import { decodeImage } from '../../src/data/decode.js';
import { openImageSource } from '../../src/data/imageSource.js';
import { randomPicture, shardMembers, temporaryFolders, toSharp, writeTar } from '../fixtures/pictures.js';

const folder = temporaryFolders();

/** A damaged copy: bytes changed, cut, doubled, or a stretch set to one value. */
function mutate(bytes: Uint8Array, random: Random): Buffer {
  const out = Buffer.from(bytes);
  const at = random.integer(out.length);
  const end = Math.min(out.length, at + 1 + random.integer(64));
  switch (random.integer(5)) {
    case 0:
      out[at] = random.integer(256);
      return out;
    case 1:
      out[at] ^= 1 << random.integer(8);
      return out;
    case 2:
      return out.subarray(0, at);
    case 3:
      return Buffer.concat([out.subarray(0, end), out.subarray(at)]);
    default:
      return out.fill([0, 255, 48, 55][random.integer(4)], at, end);
  }
}

/** Runs a reader; whatever it throws must be a FactError of two lines. */
async function mustEndWell(read: () => Promise<unknown>): Promise<void> {
  try {
    await read();
  } catch (error) {
    expect(error).toBeInstanceOf(FactError);
    expect((error as FactError).message).not.toContain('\n');
  }
}

describe('damaged files', () => {
  it('of 400 shards, changed in structure or in the compressed stream, open or fail with a typed error', async () => {
    const path = join(folder(), 'x.tar');
    await writeTar(path, await shardMembers(3, 2));
    const tar = readFileSync(path);
    const zipped = gzipSync(tar);
    const random = new Random(11);
    const start = Date.now();
    for (let i = 0; i < 400; i++) {
      const name = i % 2 === 0 ? path : `${path}.gz`;
      const bytes = i % 4 === 3 ? mutate(zipped, random) : mutate(tar, random);
      writeFileSync(name, i % 4 === 1 ? gzipSync(bytes) : bytes);
      await mustEndWell(async () => {
        const source = await openImageSource(name);
        for (let n = 0; n < source.size; n++) {
          await mustEndWell(async () => decodeImage(await source.read(n), source.key(n)));
        }
        source.close();
      });
    }
    expect(Date.now() - start).toBeLessThan(60_000);
    expect(gunzipSync(zipped)).toEqual(tar);
  });

  it('of 60 pictures in each format decode or fail with a typed error', async () => {
    const random = new Random(12);
    for (const format of ['jpeg', 'png', 'webp', 'gif', 'tiff'] as const) {
      const bytes = await toSharp(randomPicture(24, 18, 1, true))
        .toFormat(format)
        .toBuffer();
      for (let i = 0; i < 60; i++) {
        await mustEndWell(async () => {
          const image = await decodeImage(mutate(bytes, random), `${format} ${i}`);
          expect(image.data.length).toBe(image.width * image.height * 3);
        });
      }
    }
  });
});
