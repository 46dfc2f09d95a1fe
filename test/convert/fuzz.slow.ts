import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { useEngine } from '../engine.js';
import { goldensFolder } from '../goldens/format.js';
import { fuzz, READERS } from './fuzz.js';

useEngine('cpu');

/** FACT_FUZZ names the mutants a reader (default 20,000), FACT_FUZZ_SEED the stream. */
const inputs = Number(process.env.FACT_FUZZ ?? 20_000);
const seed = Number(process.env.FACT_FUZZ_SEED ?? 2);

describe.skipIf(goldensFolder() === null)('many mutants of files (needs the goldens)', () => {
  it.each(READERS)(
    'of the kind %s are read whole or refused, within time and memory',
    {
      timeout: 3_600_000,
    },
    async (reader) => {
      const result = await fuzz(reader, inputs, seed);
      console.log(JSON.stringify(result));
      expect(result.worstMs, result.worstName).toBeLessThan(2000);
      expect(result.peakGrowthMb).toBeLessThan(256);
      expect(existsSync('PAYLOAD_EXECUTED')).toBe(false);
    },
  );
});
