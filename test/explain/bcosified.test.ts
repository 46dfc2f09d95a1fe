import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { bcosify } from '../../src/convert/bcosify/bcosify.js';
import { readImage } from '../../src/explain/session/imageFiles.js';
import { openSession } from '../../src/explain/session/session.js';
import type { BcosModel } from '../../src/models/bcosModel.js';
import { SMALL, trained } from '../convert/standardNetworks.js';
import { useEngine } from '../engine.js';
import { pngOf, randomPicture, temporaryFolders } from '../fixtures/pictures.js';

useEngine();
const newFolder = temporaryFolders();

const FORMS: readonly [string, (twin: BcosModel) => void][] = [
  ['at B = 1, with biases', () => {}],
  [
    'at B = 1.5, with biases',
    (twin) => {
      for (const entry of twin.stateDict()) if (entry.name.endsWith('.b')) entry.write(Float32Array.of(1.5));
    },
  ],
];

/** Ledgers of one picture, as `fact verify` forms them. */
async function ledgersOf(twin: BcosModel) {
  const folder = join(newFolder(), 'net');
  await twin.save(folder);
  const session = await openSession({ model: folder });
  const [height, width] = twin.spec.preprocessing.crop;
  const picture = join(folder, 'picture.png');
  writeFileSync(picture, await pngOf(randomPicture(width, height, 3, true)));
  try {
    const [explanation] = await session.explainer.explain([await readImage(picture, session.spec)]);
    return explanation.ledgers;
  } finally {
    await session.close();
  }
}

describe.each(SMALL)('a B-cosified %s %#', (arch, options) => {
  it.each(FORMS)('has sums that hold %s', async (_what, change) => {
    const standard = trained(arch, options);
    const twin = bcosify(standard);
    change(twin);
    const ledgers = await ledgersOf(twin);
    expect(ledgers.length).toBeGreaterThan(0);
    for (const ledger of ledgers) expect(ledger.relativeError, ledger.subject).toBeLessThanOrEqual(1e-5);
    // What no pixel explains is named: biases, and the position code of a ViT.
    expect(ledgers.some((ledger) => ledger.lines.length > 1)).toBe(true);
    standard.dispose();
    twin.dispose();
  });

  it('has sums of pixels alone in the published form, but for the position code of a ViT', async () => {
    const standard = trained(arch, options);
    const twin = bcosify(standard, 'published');
    const ledgers = await ledgersOf(twin);
    for (const ledger of ledgers) {
      expect(ledger.relativeError, ledger.subject).toBeLessThanOrEqual(1e-5);
      const others = ledger.lines.filter(({ name }) => !/pixel|position|concept/i.test(name));
      expect(others).toEqual([]);
    }
    standard.dispose();
    twin.dispose();
  });
});
