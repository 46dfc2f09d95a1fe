import * as tf from '@tensorflow/tfjs';
import { Random } from '../../src/core/random.js';
import { compile } from '../../src/engine/compile.js';
import { runPart } from '../../src/explain/parts.js';
import { positionWeights } from '../../src/train/sae/features/collect.js';
import { drawPositions, exponentialVariates, positionBudget } from '../../src/train/sae/features/sampling.js';
import { between, goldenNetwork } from '../explain/goldenNetworks.js';
import type { GoldenCheck } from './checks.js';
import type { GoldenCase, GoldenTensor } from './format.js';
import { agrees, equal, numbers } from './saeNumbers.js';

export async function runBudget(golden: GoldenCase): Promise<GoldenCheck[]> {
  const table = golden.results.table as {
    channels: number;
    positions: number;
    budget: number;
    drawn: number;
    layer: string;
  }[];
  return table.map((row) =>
    equal(`${row.layer}`, [positionBudget(row.channels, row.positions)], [row.drawn]),
  );
}

/** Frequencies of many draws against the exact probabilities: four standard deviations of a frequency. */
export async function runInclusion(golden: GoldenCase): Promise<GoldenCheck[]> {
  const weights = numbers(golden.tensors.weights);
  const exact = numbers(golden.tensors.inclusion_probability);
  const draws = 20_000;
  const counts = new Float64Array(weights.length);
  const random = new Random(1);
  for (let i = 0; i < draws; i++) {
    const variates = exponentialVariates(random, weights.length);
    for (const position of drawPositions(weights, variates, golden.params.draws)) counts[position]++;
  }
  return Array.from(exact, (probability, i) => ({
    tensor: `inclusion of ${i}`,
    error: Math.abs(counts[i] / draws - probability),
    tolerance: 4 * Math.sqrt((probability * (1 - probability)) / draws),
  }));
}

/** Weights of positions from the network itself, and the rows that are kept. */
async function weightChecks(golden: GoldenCase, drawn: ArrayLike<number>): Promise<GoldenCheck[]> {
  const isCnn = golden.tensors['weight:conv1.linear.weight'] !== undefined;
  const widths = [1, 2, 3].map((i) => golden.tensors[`weight:conv${i}.linear.weight`]?.shape[0]);
  const network = { network: isCnn ? 'cnn' : 'vit', network_args: { widths } };
  const stages = await goldenNetwork({ ...golden, params: { ...golden.params, ...network } });
  if (stages === null) return [];
  const { layer, channels } = golden.params;
  const checks: GoldenCheck[] = [];
  for (const enabled of [false, true]) {
    const run = compile(
      (image: tf.Tensor) => {
        const features = runPart(between(stages, null, layer), image);
        const weights = positionWeights(features, (f) => runPart(between(stages, layer, null), f));
        return { features: tf.reshape(features, [features.shape[0], -1, channels]), weights };
      },
      { name: 'golden sampling', enabled },
    );
    const image = tf.tidy(() =>
      tf.transpose(
        tf.tensor(numbers(golden.tensors.image) as Float32Array, [...golden.tensors.image.shape]),
        [0, 2, 3, 1],
      ),
    );
    const { features, weights } = await run(image);
    const values = features.dataSync();
    const rows = Array.from({ length: golden.tensors.first_rows.shape[0] }, (_, i) =>
      Array.from(values.subarray(drawn[i] * channels, (drawn[i] + 1) * channels)),
    );
    const label = enabled ? 'compiled' : 'eager';
    checks.push(
      agrees(golden, 'weights', weights.dataSync(), label),
      agrees(golden, 'first_rows', rows.flat(), label),
    );
    tf.dispose([image, features, weights]);
    run.dispose();
  }
  return checks;
}

export async function runSampling(golden: GoldenCase): Promise<GoldenCheck[]> {
  const { weights_f32: weights, variates, indices } = golden.tensors;
  const [images, positions] = weights.shape;
  const drawn = indices.shape[1];
  const actual: number[] = [];
  for (let i = 0; i < images; i++) {
    const slice = (t: GoldenTensor) => numbers(t).subarray(i * positions, (i + 1) * positions);
    actual.push(...drawPositions(slice(weights) as Float32Array, slice(variates) as Float32Array, drawn));
  }
  return [
    equal('indices', actual, numbers(indices)),
    equal(
      'drawn_per_image',
      [positionBudget(golden.params.channels, positions)],
      [golden.params.drawn_per_image],
    ),
    ...(await weightChecks(golden, actual)),
  ];
}
