import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkExport } from '../../../src/explain/exported/check.js';
import type { Sae } from '../../../src/explain/sae.js';
import type { BcosModel } from '../../../src/models/bcosModel.js';
import { randomImage, smallModel } from '../fixtures.js';
import { trainedSae } from '../trainedSae.js';
import { useOnnx } from './engine.js';
import { useExports } from './fixtures.js';

useOnnx();
const exports = useExports();

describe.each(['batchtopk', 'archetypal'] as const)(
  'an exported network with a %s autoencoder',
  (architecture) => {
    let model: BcosModel;
    let saes: Sae[];
    beforeAll(async () => {
      model = smallModel({ logitBias: -1.5 });
      saes = [
        await trainedSae(model, 'layer3', architecture),
        await trainedSae(model, 'layer1', architecture),
      ];
    });
    afterAll(() => {
      for (const one of [...saes, model]) one.dispose();
    });

    it('gives what its program gives operation by operation, and closes its ledgers', async () => {
      const source = { model, sae: saes[0], early: saes[1] };
      const { pixels, height, width } = randomImage(3);
      const check = await checkExport(await exports.open(source), source, { data: pixels, height, width });
      expect(check.largestDifference).toBeLessThanOrEqual(1e-5);
      expect(check.largestLedgerError).toBeLessThanOrEqual(1e-5);
      expect(check.largestLedgerError).toBeGreaterThan(0);
    });
  },
);
