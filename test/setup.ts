import { afterEach, expect } from 'vitest';
import { relativeError } from './goldens/format.js';

interface CloseMatchers<R> {
  /** Norm-wise relative error (or absolute norm where the expected value is all zero) is at most `tolerance`. */
  toBeNormwiseClose(expected: ArrayLike<number>, tolerance: number): R;
}

declare module 'vitest' {
  // biome-ignore lint/suspicious/noExplicitAny: vitest declares the parameter so.
  interface Assertion<T = any> extends CloseMatchers<T> {}
}

expect.extend({
  toBeNormwiseClose(received: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number) {
    const error = relativeError(received, expected);
    return {
      pass: error <= tolerance,
      message: () => `norm-wise error ${error.toExponential(2)}, tolerance ${tolerance.toExponential(2)}`,
    };
  },
});

// Tests neither read nor fill the user's cache; those of the cache name a folder of their own.
process.env.FACT_CACHE ??= 'off';

afterEach(() => {
  process.exitCode = undefined;
});
