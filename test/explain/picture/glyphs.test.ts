import { describe, expect, it } from 'vitest';
import { textPath, textWidth } from '../../../src/explain/picture/glyphs.js';

describe('text as outlines', () => {
  it('is as wide as the sum of its characters, in proportion to its size', () => {
    expect(textWidth('ab', 10)).toBeCloseTo(textWidth('a', 10) + textWidth('b', 10));
    expect(textWidth('ab', 20)).toBeCloseTo(2 * textWidth('ab', 10));
    expect(textWidth('a', 10, true)).toBeGreaterThan(textWidth('a', 10));
  });

  it('has an outline for every printable character of Latin-1 and the signs that reports use', () => {
    const question = textPath('?', 0, 0, 10);
    for (let code = 33; code < 256; code++) {
      if ((code > 126 && code < 192) || code === 247 || code === 63) continue;
      expect(textPath(String.fromCharCode(code), 0, 0, 10), String.fromCharCode(code)).not.toBe(question);
    }
    for (const sign of ['−', '…', '–', '×', '·', '’']) expect(textPath(sign, 0, 0, 10)).not.toBe(question);
  });

  it('draws a question mark for what it does not know, and no outline for a space', () => {
    expect(textPath('猫', 0, 0, 10)).toBe(textPath('?', 0, 0, 10));
    expect(textPath(' ', 0, 0, 10)).toBe('');
    expect(textWidth('constructor', 10)).toBeGreaterThan(40);
  });

  it('begins at the point given', () => {
    const [, x] = /M(-?[\d.]+)/.exec(textPath('l', 100, 50, 10)) ?? [];
    expect(Number(x)).toBeGreaterThan(100);
    expect(Number(x)).toBeLessThan(104);
  });
});
