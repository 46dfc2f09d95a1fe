import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { fuzz, fuzzSeeds } from './fuzz.js';

/** FACT_FUZZ names the mutants a file (default 500), FACT_FUZZ_SEED the stream. */
const perSeed = Number(process.env.FACT_FUZZ ?? 500);
const seed = Number(process.env.FACT_FUZZ_SEED ?? 2);

describe.skipIf(fuzzSeeds().length === 0)(
  'many mutants of every golden checkpoint (needs the goldens)',
  () => {
    it('are read as whole tensors or refused with a typed error, within time and memory', {
      timeout: 3_600_000,
    }, () => {
      const result = fuzz(perSeed, seed);
      console.log(JSON.stringify(result));
      expect(result.worstMs, result.worstName).toBeLessThan(4000);
      expect(result.peakGrowthMb).toBeLessThan(512);
      expect(existsSync('PAYLOAD_EXECUTED')).toBe(false);
    });
  },
);
