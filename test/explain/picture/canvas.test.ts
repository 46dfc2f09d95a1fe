import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import type { ExplainImage } from '../../../src/explain/explanation.js';
import {
  contributionPicture,
  lit,
  networkInput,
  photograph,
  spotlight,
} from '../../../src/explain/picture/canvas.js';
import { encodePng } from '../../../src/explain/picture/png.js';

/** An original 60 x 40 whose left third is red and whose rest is green; the network sees the middle 20 x 20 of 30 x 20. */
function halfRed(): ExplainImage {
  const data = new Uint8Array(60 * 40 * 3);
  for (let i = 0; i < 60 * 40; i++) data[i * 3 + (i % 60 < 20 ? 0 : 1)] = 255;
  return {
    name: 'x',
    pixels: new Uint8Array(20 * 20 * 3),
    height: 20,
    width: 20,
    original: { width: 60, height: 40, data },
    trueClass: null,
  };
}

describe('pictures of an explanation', () => {
  it('shows of the original what the network saw', () => {
    const photo = photograph(halfRed(), { resize: 20, crop: [20, 20] }, 80);
    expect([photo.width, photo.height]).toEqual([80, 80]);
    // The crop begins at x = 10 of 60; red ends at 20: a quarter of the 40 pixels seen.
    const column = (x: number) => [...photo.data.subarray((40 * 80 + x) * 3, (40 * 80 + x) * 3 + 3)];
    expect(column(10)).toEqual([255, 0, 0]);
    expect(column(30)).toEqual([0, 255, 0]);
  });

  it("shows the network's own input where there is no original", () => {
    const image = { ...halfRed(), original: null, pixels: new Uint8Array(1200).fill(77) };
    expect(new Set(photograph(image, { resize: 20, crop: [20, 20] }, 64).data)).toEqual(new Set([77]));
    expect(networkInput(image, 40).data).toHaveLength(40 * 40 * 3);
  });

  it('lights only what is positive, fully at its brightest', () => {
    const values = new Float32Array(32 * 32).fill(-1);
    for (let y = 8; y < 16; y++) for (let x = 8; x < 16; x++) values[y * 32 + x] = 2;
    const light = spotlight({ height: 32, width: 32, values }, 64, 64);
    expect(light[24 * 64 + 24]).toBe(1);
    expect(light[60 * 64 + 60]).toBe(0);
  });

  it('stays dark for a map without anything positive', () => {
    const map = { height: 8, width: 8, values: new Float32Array(64).fill(-1) };
    expect(Math.max(...spotlight(map, 16, 16))).toBe(0);
  });

  it('keeps the photograph where the light falls and fades it to a faint grey elsewhere', () => {
    const photo = { width: 2, height: 1, data: Uint8Array.of(200, 0, 0, 200, 0, 0) };
    const { data } = lit(photo, [1, 0]);
    expect([...data.subarray(0, 3)]).toEqual([200, 0, 0]);
    expect(data[3]).toBe(data[4]);
    expect(data[3]).toBeGreaterThan(200);
  });

  it('paints contributions red for and blue against', () => {
    const values = Float32Array.from({ length: 64 * 64 }, (_, i) => (i % 64 < 32 ? 1 : -1));
    const { data } = contributionPicture({ height: 64, width: 64, values }, 64);
    const at = (x: number) => [...data.subarray((32 * 64 + x) * 3, (32 * 64 + x) * 3 + 3)];
    expect(at(10)).toEqual([255, 0, 0]);
    expect(at(54)).toEqual([0, 0, 255]);
  });

  it('encodes PNG files that read back the same', async () => {
    const picture = { width: 2, height: 2, data: Uint8Array.from({ length: 12 }, (_, i) => i * 20) };
    expect([
      ...(await sharp(await encodePng(picture))
        .raw()
        .toBuffer()),
    ]).toEqual([...picture.data]);
  });
});
