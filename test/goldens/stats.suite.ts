import { aliveConcepts, coverage, imageL0, meanAndDeviation } from '../../src/explain/stats.js';
import { close, exact, type GoldenCheck } from './checks.js';
import { folderSuite } from './folderSuite.js';
import { type GoldenCase, readFactCase } from './format.js';

/** A number that must agree norm-wise. */
function number(tensor: string, actual: number, expected: number, noise = 0): GoldenCheck {
  return close(tensor, [actual], [expected], noise);
}

function checkCase({ params, results, tensors }: GoldenCase): GoldenCheck[] {
  const shape = { images: params.images as number, latents: params.latents as number };
  const contributions = tensors.contributions.data as Float32Array;
  const checks: GoldenCheck[] = [];
  const alive = aliveConcepts(contributions, shape, params.always_alive_threshold);
  const covered = coverage(contributions, shape, params.coverage_threshold_percent);
  const error = meanAndDeviation(tensors.l2_errors.data as Float32Array);
  checks.push(
    number('image_l0', imageL0(tensors.presence.data as Float32Array, shape), results.image_l0.value),
    number('l2_error_mean', error.mean, results.l2_error_mean.value, results.l2_error_mean.noise),
    number('l2_error_std', error.deviation, results.l2_error_std.value, results.l2_error_std.noise),
    number(
      'accuracy_percent',
      (100 * tensors.correct_indices.data.length) / shape.images,
      results.accuracy_percent,
    ),
    number('80_poscover_l0', covered.conceptsToReachAllImages, results['80_poscover_l0'].value),
    number('alive_percentage', alive.alivePercent, results.alive_percentage.value),
    exact(
      'always_alive_latents',
      JSON.stringify(alive.alwaysAlive) === JSON.stringify(results.always_alive_latents),
    ),
    number(
      'always_alive_together_percent',
      alive.alwaysAliveSharePercent,
      results.always_alive_together_percent,
    ),
  );
  for (const [name, actual] of [
    ['coverage_mean', covered.curveMean],
    ['coverage_std', covered.curveDeviation],
  ] as const) {
    const expected = tensors[name] ?? tensors[`${name}_of_valid_images`];
    checks.push(close(name, actual, expected.data as Float64Array, expected.noise));
  }
  if (results.images_without_positive_contribution !== undefined) {
    checks.push(
      exact(
        'images_without_positive_contribution',
        JSON.stringify(covered.withoutPositive) ===
          JSON.stringify(results.images_without_positive_contribution),
      ),
      number(
        '80_poscover_l0_of_valid_images',
        covered.conceptsToReach,
        results['80_poscover_l0_of_valid_images'],
      ),
    );
  }
  return checks;
}

/** Statistics over a test set. */
export const statsSuite = folderSuite('fact/stats', (path) => checkCase(readFactCase(path)));
