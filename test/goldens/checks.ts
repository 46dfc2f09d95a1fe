/** One compared quantity of a golden case. */
export interface GoldenCheck {
  readonly tensor: string;
  readonly error: number;
  readonly tolerance: number;
}

export interface GoldenSuiteCase {
  readonly name: string;
  /** Compares everything the case holds; 'not yet' for a kind that is not built. */
  readonly run: () => Promise<readonly GoldenCheck[] | 'not yet'>;
}

/**
 * A part of the goldens. Suites are plain data, so that the vitest tests and `npm run test:goldens` run the same
 * checks. `part` is the path below the goldens' folder whose absence means "absent".
 */
export interface GoldenSuite {
  readonly name: string;
  readonly part: string;
  readonly cases: (folder: string) => readonly GoldenSuiteCase[];
}

/** Relation of a check's error to its tolerance: above 1 fails. */
export function severity(check: GoldenCheck): number {
  if (check.error <= check.tolerance) return check.error === 0 ? 0 : check.error / check.tolerance;
  return Math.max(check.error / check.tolerance, 1.0001);
}

/** The check of a case that is nearest to failing, or fails worst. */
export function worstCheck(checks: readonly GoldenCheck[]): GoldenCheck {
  return checks.reduce((worst, check) =>
    severity(check) > severity(worst) || Number.isNaN(check.error) ? check : worst,
  );
}
