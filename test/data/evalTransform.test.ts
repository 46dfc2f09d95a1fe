import { describe, expect, it } from 'vitest';
import {
  centerCrop,
  centerOffset,
  copyWindow,
  evalTransform,
  roundHalfEven,
  toUnitRange,
} from '../../src/data/evalTransform.js';
import { randomPicture } from '../fixtures/pictures.js';

describe('the evaluation transform', () => {
  it('rounds halves to the even neighbour', () => {
    expect([0.5, 1.5, 2.5, 3.5, 2.4, 2.6, 7].map(roundHalfEven)).toEqual([0, 2, 2, 4, 2, 3, 7]);
  });

  it('places the crop as torchvision does', () => {
    expect(
      [
        [53, 36],
        [40, 35],
        [41, 36],
        [24, 28],
        [24, 27],
        [10, 10],
      ].map(([size, crop]) => centerOffset(size, crop)),
    ).toEqual([8, 2, 2, -2, -1, 0]);
  });

  it('pads with black where the picture is smaller than the crop', () => {
    const white = { width: 1, height: 1, data: new Uint8Array([255, 255, 255]) };
    const crop = centerCrop(white, 3, 4);
    expect(crop.reduce((a, b) => a + b, 0)).toBe(3 * 255);
    expect([...crop.subarray((1 * 4 + 1) * 3, (1 * 4 + 2) * 3)]).toEqual([255, 255, 255]);
  });

  it('gives the wanted size for any picture, 1 x 1 included', () => {
    for (const [w, h] of [
      [1, 1],
      [1, 50],
      [50, 1],
      [300, 20],
    ]) {
      const out = evalTransform(randomPicture(w, h, 1), { resize: 16, crop: [14, 12] });
      expect(out.length).toBe(14 * 12 * 3);
    }
  });

  it('divides by 255 in float32 exactly', () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
    expect(toUnitRange(bytes)).toEqual(Float32Array.from(bytes, (v) => Math.fround(v / 255)));
  });
});

describe('a window of a picture', () => {
  it('mirrored twice is the window itself', () => {
    const image = randomPicture(9, 5, 3);
    const once = copyWindow(image, 0, 0, 5, 9, true);
    expect(once).not.toEqual(image.data);
    expect(copyWindow({ ...image, data: once }, 0, 0, 5, 9, true)).toEqual(image.data);
  });

  it('mirrored equals the mirror image of the plain one, also over the edges', () => {
    const image = randomPicture(6, 6, 4);
    for (const [top, left] of [
      [-2, -3],
      [3, 2],
      [-1, 4],
      [7, 7],
      [-9, 0],
    ]) {
      const plain = copyWindow(image, top, left, 5, 5);
      const mirrored = copyWindow(image, top, left, 5, 5, true);
      const back = copyWindow({ width: 5, height: 5, data: mirrored }, 0, 0, 5, 5, true);
      expect(back).toEqual(plain);
    }
  });
});
