import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openConceptData } from '../../../src/explain/concepts/conceptData.js';
import type { ModelSpec } from '../../../src/models/spec.js';
import { pngOf, randomPicture } from '../../fixtures/pictures.js';

const root = mkdtempSync(join(tmpdir(), 'fact-concept-data-'));

/** Labels of a data set of one picture a class folder, by the folder's name. */
async function labelsFor(classNames: readonly string[] | null, numClasses: number) {
  const spec = {
    classNames,
    options: { numClasses },
    preprocessing: { resize: 8, crop: [8, 8] },
  } as unknown as ModelSpec;
  const data = await openConceptData(root, spec, { imageBatch: 2, workers: 0 });
  try {
    return Object.fromEntries(
      Array.from({ length: data.source.size }, (_, i) => [
        data.source.key(i).split('/')[0],
        data.source.label(i),
      ]),
    );
  } finally {
    await data.close();
  }
}

describe('the classes of a data set', () => {
  beforeAll(async () => {
    for (const [i, name] of ['apple', 'school_bus', 'zebra'].entries()) {
      mkdirSync(join(root, name));
      writeFileSync(join(root, name, '0.png'), await pngOf(randomPicture(8, 8, i, true)));
    }
  });
  afterAll(() => rmSync(root, { recursive: true }));

  it('are found by name where the network knows all names, in whatever order it has them', async () => {
    const found = await labelsFor(['zebra', 'apple', 'School bus'], 3);
    expect(found).toEqual({ zebra: 0, apple: 1, school_bus: 2 });
  });

  it("are the network's by number where it has as many, but other names or none", async () => {
    for (const names of [null, ['a', 'b', 'c'], ['zebra', 'b', 'c'], ['zebra', 'apple', 'apple']])
      expect(await labelsFor(names, 3)).toEqual({ apple: 0, school_bus: 1, zebra: 2 });
  });

  it('are found by name where it has another number, and unknown where it lacks them', async () => {
    const found = await labelsFor(['x', 'zebra', 'school bus', 'y'], 4);
    expect(found).toEqual({ apple: -1, school_bus: 2, zebra: 1 });
  });
});
