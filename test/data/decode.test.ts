import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32, deflateSync } from 'node:zlib';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { decodeImage } from '../../src/data/decode.js';
import { readImageBytes } from '../../src/data/imageTable.js';
import { asOrdinaryUser } from '../fixtures/ordinaryUser.js';
import { jpegOf, pngOf, randomPicture, temporaryFolders, toSharp } from '../fixtures/pictures.js';

const folder = temporaryFolders();
const picture = randomPicture(13, 7, 1);
const smooth = randomPicture(40, 24, 1, true);

function chunk(type: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type), data]);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(data.length, 0);
  body.copy(out, 4);
  out.writeUInt32BE(crc32(body), body.length + 4);
  return out;
}

/** A PNG that claims a size without holding its pixels. */
function pngBomb(width: number, height: number): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(Buffer.alloc(1 << 16))),
    chunk('IEND', new Uint8Array()),
  ]);
}

describe('decoding a picture', () => {
  it('gives the exact pixels of a PNG', async () => {
    expect(await decodeImage(await pngOf(picture), 'a.png')).toMatchObject({
      width: 13,
      height: 7,
      data: Buffer.from(picture.data),
    });
  });

  it('works for 1 x 1', async () => {
    const { data } = await decodeImage(await pngOf(randomPicture(1, 1, 3)), 'one.png');
    expect(data.length).toBe(3);
  });

  it.each(['jpeg', 'png', 'webp', 'gif', 'tiff', 'avif'] as const)('reads %s', async (format) => {
    const bytes = await toSharp(smooth).toFormat(format, { quality: 95 }).toBuffer();
    const image = await decodeImage(bytes, format);
    expect([image.width, image.height]).toEqual([40, 24]);
    const worst = Math.max(...image.data.map((v, i) => Math.abs(v - smooth.data[i])));
    expect(worst).toBeLessThan(60);
  });

  it('repeats grayscale in three channels', async () => {
    const gray = Uint8Array.from({ length: 35 }, (_, i) => i * 7);
    const bytes = await sharp(gray, { raw: { width: 7, height: 5, channels: 1 } })
      .png()
      .toBuffer();
    const image = await decodeImage(bytes, 'gray.png');
    expect([...image.data]).toEqual([...gray].flatMap((v) => [v, v, v]));
  });

  it('turns a picture upright by its EXIF orientation', async () => {
    const plain = await decodeImage(await jpegOf(smooth), 'a.jpg');
    const turned = await toSharp(smooth).jpeg({ quality: 90 }).withMetadata({ orientation: 6 }).toBuffer();
    const image = await decodeImage(turned, 'b.jpg');
    expect([image.width, image.height]).toEqual([24, 40]);
    // Orientation 6: shown turned by 90 degrees clockwise, so the top left comes from the bottom left.
    const from = (plain.height - 1) * plain.width * 3;
    expect([...image.data.subarray(0, 3)]).toEqual([...plain.data.subarray(from, from + 3)]);
  });

  it('converts CMYK near to its colours', async () => {
    const red = { create: { width: 8, height: 8, channels: 3, background: '#c02010' } } as const;
    const bytes = await sharp(red).toColourspace('cmyk').jpeg().toBuffer();
    expect((await sharp(bytes).metadata()).channels).toBe(4);
    const { data } = await decodeImage(bytes, 'cmyk.jpg');
    expect(data.length).toBe(8 * 8 * 3);
    expect(data[0]).toBeGreaterThan(120);
    expect(data[1]).toBeLessThan(90);
    expect(data[2]).toBeLessThan(90);
  });

  it('takes 16-bit pictures to 8 bits', async () => {
    const bytes = await toSharp(picture).toColourspace('rgb16').png().toBuffer();
    expect((await sharp(bytes).metadata()).depth).toBe('ushort');
    const image = await decodeImage(bytes, '16.png');
    const worst = Math.max(...image.data.map((v, i) => Math.abs(v - picture.data[i])));
    expect(worst).toBeLessThanOrEqual(1);
  });

  it('lays transparency on white', async () => {
    const rgba = new Uint8Array([0, 0, 0, 0, 10, 20, 30, 255]);
    const bytes = await sharp(rgba, { raw: { width: 2, height: 1, channels: 4 } })
      .png()
      .toBuffer();
    expect([...(await decodeImage(bytes, 'alpha.png')).data]).toEqual([255, 255, 255, 10, 20, 30]);
  });

  it('takes the first frame of an animation', async () => {
    const frames = Buffer.concat([Buffer.alloc(4 * 4 * 3, 200), Buffer.alloc(4 * 4 * 3, 20)]);
    const bytes = await sharp(frames, { raw: { width: 4, height: 8, channels: 3, pageHeight: 4 } })
      .gif({ delay: [100, 100] })
      .toBuffer();
    expect((await sharp(bytes).metadata()).pages).toBe(2);
    const image = await decodeImage(bytes, 'moving.gif');
    expect([image.width, image.height]).toEqual([4, 4]);
    expect(image.data[0]).toBeGreaterThan(150);
  });

  it('goes by the content, not by the extension', async () => {
    const image = await decodeImage(await pngOf(picture), 'a.jpg');
    expect(image.width).toBe(13);
  });
});

describe('a picture that cannot be decoded', () => {
  const failure = async (bytes: Uint8Array) => decodeImage(bytes, 'bad.jpg').catch((error) => error);

  it('is an error at every length that a JPEG is cut to', async () => {
    const bytes = await jpegOf(smooth);
    for (const share of [0.02, 0.3, 0.6, 0.9, 0.98]) {
      const error = await failure(bytes.subarray(0, Math.floor(bytes.length * share)));
      expect(error).toMatchObject({ code: 'E_IMAGE_CORRUPT' });
      expect(error.message).toContain('bad.jpg');
      expect(error.message).not.toContain('\n');
    }
  });

  it('says the same of it, whatever else is decoded at the time', async () => {
    const bytes = await jpegOf(smooth);
    const cut = bytes.subarray(0, bytes.length / 2);
    const errors = await Promise.all(
      Array.from({ length: 40 }, (_, i) => failure(i % 2 === 0 ? cut : bytes)),
    );
    const said = errors.filter((_, i) => i % 2 === 0).map(({ message }) => message);
    expect(new Set(said)).toEqual(new Set(['bad.jpg cannot be decoded as jpeg']));
  });

  it('is an error for a cut PNG', async () => {
    const bytes = await pngOf(smooth);
    expect(await failure(bytes.subarray(0, bytes.length / 2))).toMatchObject({ code: 'E_IMAGE_CORRUPT' });
  });

  it('is an error for zero bytes', async () => {
    expect(await failure(new Uint8Array())).toMatchObject({ code: 'E_IMAGE_EMPTY' });
  });

  it('is an error for a web page, a PDF or SVG under a wrong name', async () => {
    for (const text of ['<!DOCTYPE html>', '%PDF-1.7', '<svg xmlns="http://www.w3.org/2000/svg"/>']) {
      const error = await failure(Buffer.from(text));
      expect(error).toMatchObject({ code: 'E_IMAGE_FORMAT' });
      expect(error.message).toContain(text.slice(0, 8));
    }
  });

  it('is refused before it is unpacked where it claims 30,000 x 30,000 pixels', async () => {
    const before = process.memoryUsage().rss;
    const start = Date.now();
    expect(await failure(pngBomb(30_000, 30_000))).toMatchObject({ code: 'E_IMAGE_TOO_LARGE' });
    expect(Date.now() - start).toBeLessThan(2000);
    expect(process.memoryUsage().rss - before).toBeLessThan(200e6);
  });
});

describe('reading a picture file', () => {
  it('works for names outside ASCII', async () => {
    const path = join(folder(), 'Übung — 猫 🐈.png');
    writeFileSync(path, await pngOf(picture));
    expect((await decodeImage(readImageBytes(path), path)).width).toBe(13);
  });

  it('names a missing file', () => {
    expect(() => readImageBytes('/nowhere/a.jpg')).toThrow(
      expect.objectContaining({
        code: 'E_IMAGE_MISSING',
        message: expect.stringContaining('/nowhere/a.jpg'),
      }),
    );
  });

  it('refuses a folder, a loop of links and a file without read permission', () => {
    const root = folder();
    mkdirSync(join(root, 'folder.jpg'));
    symlinkSync('loop.jpg', join(root, 'loop.jpg'));
    writeFileSync(join(root, 'locked.jpg'), 'x');
    chmodSync(join(root, 'locked.jpg'), 0);
    chmodSync(root, 0o755);
    asOrdinaryUser(() => {
      for (const name of ['folder.jpg', 'loop.jpg', 'locked.jpg']) {
        expect(() => readImageBytes(join(root, name))).toThrow(
          expect.objectContaining({ code: 'E_IMAGE_UNREADABLE', message: expect.stringContaining(name) }),
        );
      }
    });
  });
});
