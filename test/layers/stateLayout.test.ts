import { describe, expect, it } from 'vitest';
import { BcosConv2d } from '../../src/layers/bcosConv2d.js';
import { layoutOf, STATE_LAYOUTS } from '../../src/layers/stateLayout.js';

const SHAPES = { conv: [3, 2, 4, 5], linear: [4, 6], channels3: [5], counter: [], same: [7] } as const;

describe('the layout of a weight', () => {
  it.each(Object.entries(SHAPES))('%s goes to PyTorch and back without change', (rule, shape) => {
    const layout = STATE_LAYOUTS[rule as keyof typeof SHAPES];
    const count = shape.reduce((p: number, d) => p * d, 1);
    const values = Float32Array.from({ length: count }, (_, i) => i + 0.5);
    expect(layout.fromTorch(layout.toTorch(values, shape), shape)).toEqual(values);
    expect(layout.toTorch(values, shape)).not.toBe(values);
  });

  it('puts element [h,w,i,o] of a filter at [o,i,h,w]', () => {
    const [kh, kw, inputs, outputs] = SHAPES.conv;
    const values = Float32Array.from({ length: kh * kw * inputs * outputs }, (_, i) => i);
    const torch = STATE_LAYOUTS.conv.toTorch(values, SHAPES.conv);
    const [h, w, i, o] = [2, 1, 3, 4];
    const here = ((h * kw + w) * inputs + i) * outputs + o;
    expect(torch[((o * inputs + i) * kh + h) * kw + w]).toBe(values[here]);
    expect(STATE_LAYOUTS.conv.torchShape(SHAPES.conv)).toEqual([5, 4, 3, 2]);
  });

  it('is what the layer says, and unchanged for a weight that it does not name', () => {
    const layer = new BcosConv2d({ outChannels: 2 });
    expect(layoutOf(layer, 'linear.weight').rule).toBe('conv');
    expect(layoutOf(layer, 'other').rule).toBe('same');
  });
});
