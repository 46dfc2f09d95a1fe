import { goldenTolerance, relativeError } from './format.js';

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

/** Numbers that must agree norm-wise, to 1e-5 or four times the `noise` of the reference. */
export function close(
  tensor: string,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  noise = 0,
): GoldenCheck {
  return { tensor, error: relativeError(actual, expected), tolerance: goldenTolerance(noise) };
}

/** A check that holds or not: error 0 or 1 against tolerance 0. */
export function exact(tensor: string, holds: boolean): GoldenCheck {
  return { tensor, error: holds ? 0 : 1, tolerance: 0 };
}
