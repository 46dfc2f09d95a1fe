import { describe, expect, it } from 'vitest';
import { Random } from '../../../src/core/random.js';
import { aliveConcepts, coverage } from '../../../src/explain/stats.js';
import { ContributionStats } from '../../../src/train/sae/contributionStats.js';

const [IMAGES, LATENTS] = [40, 30];

/** Two concepts in nearly all images, ten in none, the rest in some; one image without any positive contribution. */
function table(): Float64Array {
  const random = new Random(3);
  return Float64Array.from({ length: IMAGES * LATENTS }, (_, i) => {
    const [image, concept] = [Math.floor(i / LATENTS), i % LATENTS];
    if (image === 5) return concept === 0 ? -1 : 0;
    if (concept >= 20) return 0;
    return concept < 2 || random.next() < 0.3 ? random.normal() + 0.2 : 0;
  });
}

describe('statistics of contributions, image by image', () => {
  it('are those of the whole table', () => {
    const contributions = table();
    const stats = new ContributionStats(LATENTS);
    for (let image = 0; image < IMAGES; image++)
      stats.add(contributions.subarray(image * LATENTS, (image + 1) * LATENTS));
    const shape = { images: IMAGES, latents: LATENTS };
    const [whole, alive] = [coverage(contributions, shape), aliveConcepts(contributions, shape)];
    const result = stats.result();
    expect(result.conceptsTo80).toBeCloseTo(whole.conceptsToReach, 10);
    expect(result.withoutPositive).toBe(whole.withoutPositive.length);
    expect(result.withoutPositive).toBe(1);
    expect(result.alive).toBe(Math.round((alive.alivePercent * LATENTS) / 100));
    expect(result.alwaysAlive).toBe(alive.alwaysAlive.length);
    expect(result.alwaysAlive).toBe(2);
    expect(result.alwaysAliveShare).toBeCloseTo(alive.alwaysAliveSharePercent, 10);
  });

  it('say so where no image has a positive contribution', () => {
    const stats = new ContributionStats(3);
    stats.add([0, -1, 0]);
    expect(stats.result()).toEqual({
      conceptsTo80: null,
      withoutPositive: 1,
      alive: 1,
      alwaysAlive: 1,
      alwaysAliveShare: 0,
    });
  });
});
