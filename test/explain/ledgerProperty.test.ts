import { beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../../src/core/random.js';
import { startEngine } from '../../src/engine/start.js';
import { Explainer } from '../../src/explain/explainer.js';
import { worstLedger } from '../../src/explain/ledger.js';
import { randomImage, randomSae, smallModel } from './fixtures.js';

const SIZE = 16;
const NETWORKS = 4;

/** A random network of two stages: exponent, MaxOut, width, temperature, bias, tap and autoencoder all vary. */
function randomCase(seed: number) {
  const random = new Random(11, seed);
  const pick = <T>(values: readonly T[]): T => values[random.integer(values.length)];
  const model = smallModel({
    width: pick([4, 6, 8]),
    blocks: [1, 1],
    b: pick([1, 1.5, 2, 2.5]),
    maxOut: pick([1, 2]),
    temperature: pick([null, 0.1, 4]),
    logitBias: pick([null, -6.9, 3]),
    norm: pick(['bnu', 'pnu', 'identity'] as const),
    normParameters: pick(['linear', 'affine'] as const),
    inputSize: SIZE,
    seed,
  });
  const latents = pick([3, 16, 50]);
  const sae = randomSae(
    model,
    pick(['layer1', 'layer2']),
    latents,
    Math.min(latents, pick([1, 3, 50])),
    seed,
  );
  return { model, sae };
}

describe.each(['cpu', 'wasm', 'onnx'] as const)('on engine %s', (engine) => {
  beforeAll(async () => {
    await startEngine({ engine, threads: 1 });
  });

  it.each(Array.from({ length: NETWORKS }, (_, i) => i))(
    'every ledger of random network %i closes within 1e-5',
    async (seed) => {
      const { model, sae } = randomCase(seed);
      const explainer = new Explainer(model, sae, { top: 3 });
      const images = [randomImage(seed, null, SIZE), randomImage(seed + 100, 0, SIZE)];
      for (const { ledgers, concepts } of await explainer.explain(images)) {
        expect(ledgers).toHaveLength(2 + concepts.length);
        const worst = worstLedger(ledgers);
        expect(worst?.relativeError, worst?.subject).toBeLessThanOrEqual(1e-5);
      }
      explainer.dispose();
      sae.dispose();
      model.dispose();
    },
  );

  it('explains an all-black picture: nothing active is nothing to explain, and the sums still hold', async () => {
    const { model, sae } = randomCase(1);
    const explainer = new Explainer(model, sae, { top: 3 });
    const black = { ...randomImage(1, null, SIZE), pixels: new Uint8Array(SIZE * SIZE * 3) };
    const [{ ledgers }] = await explainer.explain([black]);
    expect(ledgers.every((ledger) => ledger.holds)).toBe(true);
    explainer.dispose();
    sae.dispose();
    model.dispose();
  });
});
