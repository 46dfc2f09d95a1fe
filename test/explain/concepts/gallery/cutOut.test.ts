import { describe, expect, it } from 'vitest';
import { Random } from '../../../../src/core/random.js';
import { cropTo, cutBox, highlight, pixelsOfShare } from '../../../../src/explain/concepts/gallery/cutOut.js';

const SIZE = 40;
const mapOf = (value: (x: number, y: number) => number, width = SIZE, height = SIZE) => ({
  width,
  height,
  values: Float32Array.from({ length: width * height }, (_, i) => value(i % width, Math.floor(i / width))),
});
const noise = (width = SIZE, height = SIZE) => {
  const random = new Random(3);
  return { width, height, data: Uint8Array.from({ length: width * height * 3 }, () => random.integer(256)) };
};

describe('cut-outs', () => {
  it('hold the fewest pixels with 80 % of the positive attribution', () => {
    expect(pixelsOfShare([5, 3, 1, 1, -20])).toEqual({ count: 2, least: 3 });
    expect(pixelsOfShare([1, 1, 1, 1, 1])).toEqual({ count: 4, least: 1 });
    expect(pixelsOfShare([5, 3, 1, 1], 1)).toEqual({ count: 4, least: 1 });
    expect(pixelsOfShare([0, -1])).toEqual({ count: 0, least: 0 });
    expect(pixelsOfShare([])).toEqual({ count: 0, least: 0 });
  });

  it('lie around what is marked, as a square within the picture', () => {
    const right = cutBox(mapOf((x, y) => (x > 30 && y > 10 && y < 20 ? 1 : 0)));
    expect(right.left + right.width).toBeCloseTo(1, 6);
    expect(right.top).toBeGreaterThan(0.1);
    expect(right.top + right.height).toBeLessThan(0.65);
    const wide = cutBox(mapOf((x) => (x < 6 ? 1 : 0), 80, 40));
    expect(wide.width * 80).toBeCloseTo(wide.height * 40, 6);
    for (const box of [right, wide]) {
      expect(Math.min(box.left, box.top)).toBeGreaterThanOrEqual(0);
      expect(Math.max(box.left + box.width, box.top + box.height)).toBeLessThanOrEqual(1 + 1e-12);
    }
  });

  it('are the whole picture where nothing speaks for the concept', () => {
    expect(cutBox(mapOf(() => -1))).toEqual({ left: 0, top: 0, width: 1, height: 1 });
    expect(cutBox(mapOf(() => 1))).toEqual({ left: 0, top: 0, width: 1, height: 1 });
  });

  it('leave the marked pixels as they are and make the rest pale', () => {
    const photo = noise();
    const isMarked = (i: number): boolean => i % SIZE > 5 && i % SIZE < 15 && i > 5 * SIZE && i < 15 * SIZE;
    const shown = highlight(
      photo,
      mapOf((x, y) => (x > 5 && x < 15 && y > 5 && y < 15 ? 1 : 0)),
    );
    const at = (x: number, y: number) => [0, 1, 2].map((c) => shown.data[(y * SIZE + x) * 3 + c]);
    expect(at(10, 10)).toEqual([...photo.data.subarray((10 * SIZE + 10) * 3, (10 * SIZE + 10) * 3 + 3)]);
    for (const [x, y] of [
      [35, 35],
      [0, 39],
      [39, 0],
    ]) {
      expect(isMarked(y * SIZE + x)).toBe(false);
      for (const v of at(x, y)) expect(v).toBeGreaterThan(150);
    }
  });

  it('are drawn of any size, one pixel too', () => {
    for (const [width, height] of [
      [1, 1],
      [3, 7],
    ]) {
      const map = mapOf(() => 1, width, height);
      const shown = cropTo(highlight(noise(width, height), map), cutBox(map), 20);
      expect(Math.max(shown.width, shown.height)).toBe(20);
      expect(shown.data.every((v) => Number.isFinite(v))).toBe(true);
    }
  });
});
