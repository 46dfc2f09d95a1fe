import { describe, expect, it } from 'vitest';
import { amount, percent, shortName, signed, signedPercent } from '../../../src/explain/report/words.js';

describe('numbers in words', () => {
  it('keeps the sign of a share, with a true minus sign, and none for zero', () => {
    expect(['+12.3 %', '−4.0 %', '0.0 %']).toEqual([
      signedPercent(0.1234),
      signedPercent(-0.04),
      signedPercent(-0.0001),
    ]);
  });

  it('never says 0 % of what is not 0', () => {
    expect([percent(0), percent(0.004), percent(0.87), percent(1)]).toEqual([
      '0 %',
      '0.4 %',
      '87 %',
      '100 %',
    ]);
  });

  it('writes small amounts with two significant digits', () => {
    expect([amount(0), amount(-1.234), amount(0.00123), amount(-1.2e-7)]).toEqual([
      '0.00',
      '−1.23',
      '0.0012',
      '−1.2e−7',
    ]);
    expect(signed(0.5)).toBe('+0.50');
  });

  it('shortens a path to its last two parts', () => {
    expect([shortName('/a/b/c/d.jpg'), shortName('C:\\a\\b\\c.jpg'), shortName('x.jpg')]).toEqual([
      'c/d.jpg',
      'b/c.jpg',
      'x.jpg',
    ]);
  });
});
