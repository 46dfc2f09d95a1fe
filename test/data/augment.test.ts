import { describe, expect, it } from 'vitest';
import { Random } from '../../src/core/random.js';
import { type Augmentation, augment, checkAugmentation, randomBox } from '../../src/data/augment.js';
import { randomPicture } from '../fixtures/pictures.js';

const image = randomPicture(10, 10, 1);

describe('pad and crop', () => {
  it('takes each of the (2 x padding + 1)^2 places and both mirrorings about equally often', () => {
    const seen = new Map<string, number>();
    const rounds = 3600;
    for (let i = 0; i < rounds; i++) {
      const out = augment(image, [10, 10], { kind: 'padCrop', padding: 1, flip: true }, new Random(1, i));
      const key = Buffer.from(out).toString('base64');
      seen.set(key, (seen.get(key) ?? 0) + 1);
    }
    expect(seen.size).toBe(18);
    for (const count of seen.values()) expect(Math.abs(count - rounds / 18)).toBeLessThan(60);
  });

  it('without padding and mirroring changes nothing', () => {
    const out = augment(image, [10, 10], { kind: 'padCrop', padding: 0, flip: false }, new Random(5));
    expect(out).toEqual(image.data);
  });

  it('scales a picture of another size first, unless told not to', () => {
    const large = randomPicture(40, 30, 2);
    const out = augment(large, [10, 10], { kind: 'padCrop', padding: 0, flip: false }, new Random(5));
    expect(out.length).toBe(300);
    const inside = { kind: 'padCrop', padding: 0, flip: false, resize: null } as const;
    const cut = augment(large, [10, 10], inside, new Random(5));
    const row = Buffer.from(cut.subarray(0, 30));
    expect(Buffer.from(large.data).includes(row)).toBe(true);
  });
});

describe('random resized crop', () => {
  it('draws boxes within the picture, of the wanted area and shape', () => {
    const random = new Random(7);
    let areas = 0;
    for (let i = 0; i < 2000; i++) {
      const box = randomBox(200, 150, [0.08, 1], [3 / 4, 4 / 3], random);
      expect(box.left >= 0 && box.top >= 0).toBe(true);
      expect(box.left + box.width <= 200 && box.top + box.height <= 150).toBe(true);
      expect(box.width / box.height).toBeGreaterThan(0.7);
      expect(box.width / box.height).toBeLessThan(1.4);
      areas += (box.width * box.height) / (200 * 150);
    }
    expect(areas / 2000).toBeGreaterThan(0.4);
    expect(areas / 2000).toBeLessThan(0.56);
  });

  it('falls back to the centre where no box fits', () => {
    const random = new Random(1);
    expect(randomBox(400, 3, [1, 1], [1, 1], random)).toEqual({ left: 198, top: 0, width: 3, height: 3 });
    expect(randomBox(3, 400, [1, 1], [1, 1], random)).toEqual({ left: 0, top: 198, width: 3, height: 3 });
  });

  it('is a function of its random numbers', () => {
    const kind = { kind: 'resizedCrop', flip: true } as const;
    const draw = (seed: number) => augment(image, [8, 6], kind, new Random(seed));
    expect(draw(1)).toEqual(draw(1));
    expect(draw(1)).not.toEqual(draw(2));
    expect(draw(1).length).toBe(8 * 6 * 3);
  });
});

describe('an augmentation with wrong numbers', () => {
  const wrong: Augmentation[] = [
    { kind: 'padCrop', padding: -1, flip: true },
    { kind: 'padCrop', padding: 0.5, flip: true },
    { kind: 'evaluation', resize: 0 },
    { kind: 'evaluation', resize: Number.NaN },
    { kind: 'resizedCrop', flip: true, scale: [0, 1] },
    { kind: 'resizedCrop', flip: true, scale: [0.5, 2] },
    { kind: 'resizedCrop', flip: true, ratio: [2, 1] },
  ];
  it.each(wrong)('is refused: %o', (augmentation) => {
    expect(() => checkAugmentation(augmentation)).toThrow(
      expect.objectContaining({ code: 'E_AUGMENTATION' }),
    );
  });
});
