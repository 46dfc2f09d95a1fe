import { describe, expect, it } from 'vitest';
import { openImageSource } from '../../../../src/data/imageSource.js';
import { subset } from '../../../../src/data/subset.js';
import { holdOut } from '../../../../src/train/sae/features/holdOut.js';
import { temporaryFolders } from '../../../fixtures/pictures.js';
import { writePictures } from '../store/storeCase.js';

const folder = temporaryFolders();

/** Classes of so many pictures each, mixed. */
function classes(sizes: readonly number[]) {
  const labels = sizes.flatMap((size, label) => new Array<number>(size).fill(label));
  labels.sort((a, b) => ((a * 7 + 3) % 5) - ((b * 7 + 3) % 5));
  return { size: labels.length, label: (i: number) => labels[i], classNames: sizes.map(String) };
}

describe('images held out', () => {
  const source = classes([100, 40, 9, 0]);

  it('are so many of each class, at most a tenth of it', () => {
    const { kept, heldOut } = holdOut(source, 5);
    const count = (label: number) => Array.from(heldOut).filter((i) => source.label(i) === label).length;
    expect([0, 1, 2, 3].map(count)).toEqual([5, 4, 0, 0]);
    expect([...kept, ...heldOut].sort((a, b) => a - b)).toEqual(Array.from({ length: 149 }, (_, i) => i));
    expect(kept.every((sample, i) => i === 0 || sample > kept[i - 1])).toBe(true);
    expect(holdOut(source, 0).heldOut).toHaveLength(0);
  });

  it('depend on the seed, 42 where none is given', () => {
    expect(holdOut(source, 5)).toEqual(holdOut(source, 5, 42));
    expect(holdOut(source, 5).heldOut).not.toEqual(holdOut(source, 5, 1).heldOut);
  });
});

describe('a subset of a data set', () => {
  it('has the pictures chosen, numbered anew, and leaves the whole as it is', async () => {
    const data = folder();
    await writePictures(data, 6);
    const whole = await openImageSource(data);
    const part = subset(whole, Uint32Array.of(4, 1));
    expect(part).toMatchObject({ size: 2, classNames: whole.classNames });
    expect([part.key(0), part.key(1)]).toEqual([whole.key(4), whole.key(1)]);
    expect([part.label(0), part.label(1)]).toEqual([1, 0]);
    const content = await whole.read(4);
    expect(await part.read(0)).toEqual(content);
    part.close();
    expect(await whole.read(4)).toEqual(content);
    expect(() => subset(whole, Uint32Array.of(6))).toThrow('picture 6 of a data set of 6');
    whole.close();
  });
});
