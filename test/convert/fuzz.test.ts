import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { fuzz, fuzzSeeds } from './fuzz.js';

describe.skipIf(fuzzSeeds().length === 0)('mutants of every golden checkpoint (needs the goldens)', () => {
  it('are read as whole tensors or refused with a typed error, within time, and execute nothing', () => {
    const result = fuzz(8, 1);
    expect(result.inputs).toBeGreaterThan(1000);
    expect(result.accepted).toBeGreaterThan(30);
    expect(result.worstMs, result.worstName).toBeLessThan(4000);
    expect(existsSync('PAYLOAD_EXECUTED')).toBe(false);
  });
});
