import { describe, expect, it } from 'vitest';
import { createPixelMemory, PixelCache } from '../../src/data/pixelCache.js';
import { randomPicture } from '../fixtures/pictures.js';

describe('a cache of decoded pictures', () => {
  it('gives back what was put in, in every thread that shares its memory', () => {
    const memory = createPixelMemory(5, 1000);
    const [one, other] = [new PixelCache(memory), new PixelCache(memory)];
    const picture = randomPicture(7, 5, 1);
    expect(one.get(4)).toBeNull();
    one.put(4, picture);
    expect(other.get(4)).toEqual(picture);
    expect(other.get(0)).toBeNull();
  });

  it('holds what fits and leaves out the rest', () => {
    const cache = new PixelCache(createPixelMemory(4, 250));
    for (let i = 0; i < 3; i++) cache.put(i, randomPicture(6, 6, i));
    expect([0, 1, 2].map((i) => cache.get(i) !== null)).toEqual([true, true, false]);
    cache.put(3, randomPicture(3, 3, 9));
    expect(cache.get(3)).toEqual(randomPicture(3, 3, 9));
    expect(cache.get(1)).toEqual(randomPicture(6, 6, 1));
  });
});
