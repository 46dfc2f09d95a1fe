import { describe, expect, it } from 'vitest';
import { Random } from '../../src/core/random.js';
import type { DecodedImage } from '../../src/data/decode.js';
import { resizeBilinear, resizeShorterSide, shorterSideSize } from '../../src/data/resize.js';
import { randomPicture } from '../fixtures/pictures.js';
import { preprocessSuite } from '../goldens/preprocess.suite.js';
import { testGoldenSuite } from '../goldens/suite.js';

testGoldenSuite(preprocessSuite);

/** The same filter in float64, without the rounding between the passes. */
function referenceResize(image: DecodedImage, width: number, height: number): Float64Array {
  const axis = (input: number, output: number) =>
    Array.from({ length: output }, (_, o) => {
      const scale = Math.max(1, input / output);
      const center = ((o + 0.5) * input) / output;
      const weights = Array.from({ length: input }, (_, i) =>
        Math.max(0, 1 - Math.abs((i + 0.5 - center) / scale)),
      );
      const sum = weights.reduce((a, b) => a + b, 0);
      return weights.map((w) => w / sum);
    });
  const xs = axis(image.width, width);
  const ys = axis(image.height, height);
  const out = new Float64Array(width * height * 3);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < 3; c++)
        ys[y].forEach((wy, j) => {
          if (wy === 0) return;
          xs[x].forEach((wx, i) => {
            out[(y * width + x) * 3 + c] += wx * wy * image.data[(j * image.width + i) * 3 + c];
          });
        });
  return out;
}

describe('resizing', () => {
  it('stays within one grey level of the exact filter, whatever the sizes', () => {
    const random = new Random(3);
    for (let n = 0; n < 25; n++) {
      const image = randomPicture(1 + random.integer(40), 1 + random.integer(40), n);
      const [width, height] = [1 + random.integer(40), 1 + random.integer(40)];
      const exact = referenceResize(image, width, height);
      const got = resizeBilinear(image, width, height);
      expect(got.data.length).toBe(width * height * 3);
      expect(Math.max(...exact.map((v, i) => Math.abs(v - got.data[i])))).toBeLessThanOrEqual(1.01);
    }
  });

  it('keeps a picture of one colour exactly, also when shrunk ten thousand times', () => {
    for (const value of [0, 1, 127, 254, 255]) {
      const image = { width: 20_000, height: 2, data: new Uint8Array(20_000 * 2 * 3).fill(value) };
      expect(resizeBilinear(image, 2, 1).data).toEqual(new Uint8Array(6).fill(value));
      expect(resizeBilinear({ width: 1, height: 1, data: image.data.slice(0, 3) }, 5, 4).data).toEqual(
        new Uint8Array(60).fill(value),
      );
    }
  });

  it('copies at the same size', () => {
    const image = randomPicture(9, 7, 1);
    const copy = resizeBilinear(image, 9, 7);
    expect(copy.data).toEqual(image.data);
    expect(copy.data.buffer).not.toBe(image.data.buffer);
  });

  it('of a box equals the resizing of the cut-out', () => {
    const image = randomPicture(31, 23, 5);
    for (const box of [
      { left: 4, top: 3, width: 17, height: 11 },
      { left: 0, top: 5, width: 31, height: 12 },
      { left: 7, top: 0, width: 1, height: 23 },
    ]) {
      const cut = new Uint8Array(box.width * box.height * 3);
      for (let i = 0; i < cut.length; i++) {
        const pixel = Math.floor(i / 3);
        const [y, x] = [Math.floor(pixel / box.width), pixel % box.width];
        cut[i] = image.data[((box.top + y) * image.width + box.left + x) * 3 + (i % 3)];
      }
      for (const [w, h] of [
        [8, 8],
        [box.width, 20],
        [40, box.height],
        [box.width, box.height],
      ]) {
        expect(resizeBilinear(image, w, h, box)).toEqual(
          resizeBilinear({ width: box.width, height: box.height, data: cut }, w, h),
        );
      }
    }
  });

  it('of the shorter side cuts the longer one to a whole number', () => {
    expect(shorterSideSize(500, 375, 256)).toEqual([341, 256]);
    expect(shorterSideSize(375, 500, 256)).toEqual([256, 341]);
    expect(shorterSideSize(64, 64, 64)).toEqual([64, 64]);
    const image = randomPicture(20, 10, 2);
    expect(resizeShorterSide(image, 10)).toBe(image);
  });
});
