import { describe, expect, it } from 'vitest';
import { formatLedger, formLedger, type LedgerInput, worstLedger } from '../../src/explain/ledger.js';

const form = (input: Partial<LedgerInput>) =>
  formLedger({
    side: 'logit',
    subject: 'logit of x',
    left: 3,
    terms: [1, 2],
    termsName: 'concepts',
    ...input,
  });

describe('a ledger', () => {
  it('holds where the terms add up to the left side', () => {
    expect(form({})).toMatchObject({
      sum: 3,
      absoluteSum: 3,
      residual: 0,
      relativeError: 0,
      holds: true,
      termCount: 2,
    });
  });

  it('measures the residual against the sum of absolute terms', () => {
    const ledger = form({ left: 1.01, terms: [51, -50] });
    expect(ledger.relativeError).toBeCloseTo(0.01 / 101, 12);
    expect(ledger.holds).toBe(false);
    expect(form({ left: 1.01, terms: [51, -50], tolerance: 1e-3 }).holds).toBe(true);
  });

  it('sums in float64', () => {
    const terms = new Float32Array(100_000).fill(0.1);
    expect(form({ left: 100_000 * Math.fround(0.1), terms }).relativeError).toBeLessThan(1e-12);
  });

  it('lists constants as named lines and counts them as terms', () => {
    const ledger = form({ left: 3.5, constants: [{ name: 'bn1', value: 0.5 }] });
    expect(ledger.lines).toEqual([
      { name: 'concepts', value: 3 },
      { name: 'bn1', value: 0.5 },
    ]);
    expect([ledger.holds, ledger.termCount]).toEqual([true, 3]);
  });

  it('holds where there is nothing to explain and nothing is explained', () => {
    expect(form({ left: 0, terms: [] })).toMatchObject({ relativeError: 0, holds: true });
  });

  it('does not hold where a left side has no terms, or anything is not a number', () => {
    expect(form({ left: 1, terms: [] })).toMatchObject({
      relativeError: Number.POSITIVE_INFINITY,
      holds: false,
    });
    expect(form({ left: Number.NaN }).holds).toBe(false);
    expect(form({ terms: [1, Number.NaN] }).holds).toBe(false);
    expect(form({ terms: [1, Number.POSITIVE_INFINITY] }).holds).toBe(false);
  });

  it('finds the worst of several', () => {
    const bad = form({ left: 4 });
    expect(worstLedger([form({}), bad, form({})])).toBe(bad);
    expect(worstLedger([])).toBeUndefined();
  });

  it('reads as left side, terms, residual and verdict', () => {
    const text = formatLedger(form({ constants: [{ name: 'bn1', value: 0.5 }] }));
    expect(text).toHaveLength(4);
    expect(text[0]).toContain('logit of x');
    expect(text[1]).toContain('(2 terms)');
    expect(text[3]).toContain('DOES NOT HOLD');
  });
});
