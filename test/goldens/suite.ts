import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type GoldenSuite, worstCheck } from './checks.js';
import { goldensFolder } from './format.js';

export type { GoldenCheck, GoldenSuite, GoldenSuiteCase } from './checks.js';

/** Declares one vitest test a case; the suite is skipped, with the reason in its name, where the goldens are absent. */
export function testGoldenSuite(suite: GoldenSuite): void {
  const folder = goldensFolder();
  if (folder === null || !existsSync(join(folder, suite.part))) {
    describe.skip(`goldens ${suite.name} (skipped: no folder of golden numbers with ${suite.part})`, () => {
      it('needs the goldens', () => {});
    });
    return;
  }
  describe(`goldens ${suite.name}`, () => {
    for (const goldenCase of suite.cases(folder)) {
      it(`${goldenCase.name} agrees with the reference`, async () => {
        const checks = await goldenCase.run();
        if (checks === 'not yet') return;
        expect(checks.length).toBeGreaterThan(0);
        const worst = worstCheck(checks);
        expect(
          worst.error,
          `${worst.tensor}: error ${worst.error}, tolerance ${worst.tolerance}`,
        ).toBeLessThanOrEqual(worst.tolerance);
      });
    }
  });
}
