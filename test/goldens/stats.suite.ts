import { aliveConcepts, coverage, imageL0, meanAndDeviation } from '../../src/explain/stats.js';
import { AccuracyCounts } from '../../src/train/sae/eval/accuracy.js';
import { ConceptUse } from '../../src/train/sae/eval/conceptUse.js';
import { ContributionSums } from '../../src/train/sae/eval/contributionSums.js';
import { ReconstructionSums } from '../../src/train/sae/eval/reconstruction.js';
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

/** The same numbers by the sums that `fact sae eval` makes image by image. */
function checkStreamed({ params, results, tensors }: GoldenCase): GoldenCheck[] {
  const { images, latents } = params as { images: number; latents: number };
  const row = (name: string, image: number): Float32Array => {
    const width = tensors[name].data.length / images;
    return (tensors[name].data as Float32Array).subarray(image * width, (image + 1) * width);
  };
  const right = new Set(tensors.correct_indices.data as Int32Array);
  const concepts = Int32Array.from({ length: latents }, (_, c) => c);
  const contributions = new ContributionSums(latents);
  const reconstruction = new ReconstructionSums(1);
  const use = new ConceptUse(latents, 'use');
  const accuracy = new AccuracyCounts();
  const none = { mean: new Float32Array(1), spread: 0 };
  for (let image = 0; image < images; image++) {
    contributions.add({ contributions: row('contributions', image) });
    use.addCode({ values: row('presence', image), indices: concepts }, 1);
    const errors = row('l2_errors', image);
    reconstruction.add({ errors, lengths: errors, features: none, residual: none });
    const scores = right.has(image) ? Float32Array.of(1, 0) : Float32Array.of(0, 1);
    accuracy.add({ logits: scores, spliced: scores, label: 0, predicted: right.has(image) ? 0 : 1 });
  }
  const c = contributions.result();
  const r = reconstruction.result();
  const whole = (values: readonly number[], rest: number): number[] => [
    ...values,
    ...new Array<number>(latents - values.length).fill(rest),
  ];
  const curve = (name: string, actual: readonly number[]): GoldenCheck => {
    const expected = tensors[name] ?? tensors[`${name}_of_valid_images`];
    return close(`${name} (streamed)`, actual, expected.data as Float64Array, expected.noise);
  };
  const checks = [
    number('image_l0 (streamed)', use.sparsity().imageL0.mean, results.image_l0.value),
    number(
      'l2_error_mean (streamed)',
      r.l2ErrorMean,
      results.l2_error_mean.value,
      results.l2_error_mean.noise,
    ),
    number(
      'l2_error_std (streamed)',
      r.l2ErrorDeviation ?? Number.NaN,
      results.l2_error_std.value,
      results.l2_error_std.noise,
    ),
    number('accuracy_percent (streamed)', accuracy.result().splicedTop1Percent, results.accuracy_percent),
    number('80_poscover_l0 (streamed)', c.conceptsTo80AllImages, results['80_poscover_l0'].value),
    number('alive_percentage (streamed)', c.alivePercent, results.alive_percentage.value),
    exact(
      'always_alive_latents (streamed)',
      JSON.stringify(c.alwaysAlive) === JSON.stringify(results.always_alive_latents),
    ),
    number(
      'always_alive_together_percent (streamed)',
      c.alwaysAliveSharePercent,
      results.always_alive_together_percent,
    ),
    curve('coverage_mean', whole(c.coverage.mean, 100)),
    curve('coverage_std', whole(c.coverage.deviation ?? [], 0)),
  ];
  if (results.images_without_positive_contribution === undefined) return checks;
  return [
    ...checks,
    exact(
      'images_without_positive_contribution (streamed)',
      c.imagesWithoutPositive === results.images_without_positive_contribution.length,
    ),
    number(
      '80_poscover_l0_of_valid_images (streamed)',
      c.conceptsTo80 ?? Number.NaN,
      results['80_poscover_l0_of_valid_images'],
    ),
  ];
}

/** Statistics over a test set, of whole tables and image by image. */
export const statsSuite = folderSuite('fact/stats', (path) => {
  const golden = readFactCase(path);
  return [...checkCase(golden), ...checkStreamed(golden)];
});
