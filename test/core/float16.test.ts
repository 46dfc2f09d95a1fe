import { describe, expect, it } from 'vitest';
import { fromFloat16, toFloat16 } from '../../src/core/float16.js';

describe('float16', () => {
  it('keeps every one of the 65536 halves', () => {
    const bits = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const values = fromFloat16(new Uint8Array(bits.buffer));
    const back = new Uint16Array(toFloat16(values).buffer);
    for (let i = 0; i < bits.length; i++) {
      if (Number.isNaN(values[i])) expect(back[i] & 0x7e00).toBe(0x7e00);
      else if (back[i] !== bits[i]) expect([i, back[i]]).toEqual([i, bits[i]]);
    }
  });

  it('knows the landmark values', () => {
    const bits = (v: number) => new Uint16Array(toFloat16([v]).buffer)[0];
    expect(bits(1)).toBe(0x3c00);
    expect(bits(-2)).toBe(0xc000);
    expect(bits(65504)).toBe(0x7bff);
    expect(bits(65519.99)).toBe(0x7bff);
    expect(bits(65520)).toBe(0x7c00);
    expect(bits(2 ** -14)).toBe(0x0400);
    expect(bits(2 ** -24)).toBe(0x0001);
    expect(bits(2 ** -25)).toBe(0x0000);
    expect(bits(2 ** -25 * 1.0001)).toBe(0x0001);
    expect(bits(Number.NEGATIVE_INFINITY)).toBe(0xfc00);
    expect(bits(-0)).toBe(0x8000);
  });

  it('rounds to nearest, ties to even', () => {
    const round = (v: number) => fromFloat16(toFloat16([v]))[0];
    expect(round(1 + 2 ** -11)).toBe(1);
    expect(round(1 + 3 * 2 ** -11)).toBe(1 + 2 ** -9);
    expect(round(1 + 2 ** -11 + 2 ** -20)).toBe(1 + 2 ** -10);
    expect(round(2 ** -24 * 1.5)).toBe(2 ** -23);
    expect(round(2 ** -24 * 2.5)).toBe(2 ** -23);
  });
});
