import {
  conceptEncoding,
  conceptScore,
  datasetScores,
  pairwiseScore,
  pixelsToReach,
  randomAttribution,
  scoreHistogram,
  selectImages,
} from '../../src/explain/c2.js';
import { resizeMap } from '../../src/explain/picture/resizeMap.js';
import { close, exact, type GoldenCheck } from './checks.js';
import { folderSuite } from './folderSuite.js';
import { type GoldenCase, type GoldenTensor, readFactCase } from './format.js';

/** Rows of a tensor along its first axis. */
function rows(tensor: GoldenTensor): Float64Array[] {
  const length = tensor.data.length / tensor.shape[0];
  return Array.from({ length: tensor.shape[0] }, (_, i) =>
    Float64Array.from((tensor.data as Float32Array).subarray(i * length, (i + 1) * length)),
  );
}

function meanOf(list: readonly Float64Array[]): Float64Array {
  return list[0].map((_, c) => list.reduce((sum, row) => sum + row[c], 0) / list.length);
}

const CHECKS: Record<string, (golden: GoldenCase) => GoldenCheck[]> = {
  encoding({ params, tensors }) {
    const attribution = rows(tensors.attribution);
    const encodings = rows(tensors.features).map((f, i) =>
      conceptEncoding(f, attribution[i], params.channels),
    );
    const expected = tensors.encoding;
    const flat = encodings.flatMap((e) => (e === null ? [] : [...e]));
    return [
      close('encoding', flat, expected.data as Float64Array, expected.noise),
      exact('all_zero_attribution', conceptEncoding(new Float64Array(4), new Float64Array(2), 2) === null),
    ];
  },
  resize({ tensors }) {
    return Object.keys(tensors)
      .filter((name) => name.startsWith('in_'))
      .map((name) => {
        const input = tensors[name];
        const output = tensors[name.replace('in', 'out')];
        const from: [number, number] = [input.shape[2], input.shape[3]];
        const to: [number, number] = [output.shape[2], output.shape[3]];
        const actual = rows(input).flatMap((map) => [...resizeMap(map, from, to)]);
        return close(name, actual, output.data as Float64Array, output.noise);
      });
  },
  pairs({ results, tensors }) {
    if (results.one_image !== undefined) {
      return [
        exact('one_image', Number.isNaN(pairwiseScore([Float64Array.of(1, 2)]))),
        exact(
          'zero vector',
          pairwiseScore([Float64Array.of(0, 0), Float64Array.of(1, 2), Float64Array.of(1, 2)]) ===
            pairwiseScore([Float64Array.of(1, 2), Float64Array.of(1, 2), Float64Array.of(0, 0)]),
        ),
      ];
    }
    const x = rows(tensors.x);
    return [
      close(
        'score',
        [pairwiseScore(x, tensors.weights.data as Float32Array)],
        [results.score.value],
        results.score.noise,
      ),
      close('score_equal_weights', [pairwiseScore(x)], [results.score_equal_weights]),
    ];
  },
  selection({ params, tensors }) {
    const presence = tensors.presence.data as Float32Array;
    const latents = params.latents as number;
    return Object.keys(tensors)
      .filter((name) => name.startsWith('selected_q'))
      .map((name) => {
        const q = name === 'selected_qNone' ? null : Number(name.slice('selected_q'.length));
        const actual = new Uint8Array(presence.length);
        for (let c = 0; c < latents; c++) {
          const column = Float32Array.from({ length: params.images }, (_, i) => presence[i * latents + c]);
          for (const image of selectImages(column, q)) actual[image * latents + c] = 1;
        }
        const expected = tensors[name].data as Uint8Array;
        return exact(
          name,
          actual.every((v, i) => v === expected[i]),
        );
      });
  },
  dataset_scores({ results, tensors }) {
    const encodings = rows(tensors.encoding);
    const concept = tensors.key.data as Int32Array;
    const presence = tensors.presence.data as Float32Array;
    const pixels = tensors.pixels.data as Int32Array;
    const scores = datasetScores(
      encodings.map((encoding, i) => ({
        concept: concept[i],
        presence: presence[i],
        pixels: pixels[i],
        encoding,
      })),
      rows(tensors.mean_rows),
    );
    const { concepts } = scores;
    const supported = concepts.filter((c) => c.count >= 5).map((c) => c.score);
    return [
      close(
        'random_baseline',
        [scores.baseline],
        [results.random_baseline.value],
        results.random_baseline.noise,
      ),
      close('mean_score', [scores.mean], [results.mean_score]),
      close('mean_score_min5', [scores.meanWellSupported], [results.mean_score_min5]),
      close('delta_to_random', [scores.aboveBaseline], [results.delta_to_random.value]),
      close('delta_min5', [scores.wellSupportedAboveBaseline], [results.delta_to_random_min5.value]),
      close(
        'score',
        concepts.map((c) => c.score),
        tensors.score.data as Float64Array,
        tensors.score.noise,
      ),
      close(
        'mean_pixels',
        concepts.map((c) => c.meanPixels),
        tensors.mean_pixels.data as Float64Array,
      ),
      close(
        'concept_index',
        concepts.map((c) => c.concept),
        tensors.concept_index.data as Int32Array,
      ),
      close(
        'count',
        concepts.map((c) => c.count),
        tensors.count.data as Int32Array,
      ),
      close('histogram', scoreHistogram(supported), results['histogram_of_min5_percent_50_bins_-1_1']),
    ];
  },
  pixels80({ tensors }) {
    const actual = rows(tensors.attribution).map((map) => pixelsToReach(map));
    const expected = tensors.pixels.data as Int32Array;
    return [
      exact(
        'pixels',
        actual.every((v, i) => v === expected[i]),
      ),
    ];
  },
  random_baseline({ params, results, tensors }) {
    const features = rows(tensors.features);
    const floor = tensors.floor.data as Float32Array;
    const drawn = rows(tensors.uniform).map((map, i) => randomAttribution(map, floor[i]));
    const encodings = drawn.map((d, i) => conceptEncoding(features[i], d.attribution, params.channels)!);
    const weights = drawn.map((d) => d.weight);
    const pixels = params.size * params.size;
    const means = features.map((f) =>
      Float64Array.from({ length: params.channels }, (_, c) =>
        f.subarray(c * pixels, (c + 1) * pixels).reduce((s, v) => s + v / pixels, 0),
      ),
    );
    const centre = meanOf(means);
    return [
      close(
        'encoding',
        encodings.flatMap((e) => [...e]),
        tensors.encoding.data as Float64Array,
        tensors.encoding.noise,
      ),
      close('weights', weights, tensors.weights.data as Float64Array, tensors.weights.noise),
      close('score', [pairwiseScore(encodings, weights)], [results.score.value], results.score.noise),
      close(
        'score_mean_subtracted',
        [
          pairwiseScore(
            encodings.map((e) => e.map((v, c) => v - centre[c])),
            weights,
          ),
        ],
        [results.score_mean_subtracted.value],
        results.score_mean_subtracted.noise,
      ),
    ];
  },
  minimal_pipeline({ params, results, tensors }) {
    const size: [number, number] = [params.image_size, params.image_size];
    return Object.keys(tensors)
      .filter((name) => name.startsWith('map_'))
      .map((name) => {
        const index = name.slice('map_'.length);
        const features = rows(tensors[`features_${index}`]);
        const activation = tensors[`activation_${index}`].data as Float32Array;
        const images = rows(tensors[name]).map((map, i) => ({
          activation: activation[i],
          map,
          mapSize: [params.map_size, params.map_size] as [number, number],
          features: features[i],
        }));
        const score = conceptScore(images, params.channels, size);
        const expected = results[`score_${index}`];
        return expected === 'nan'
          ? exact(`score_${index}`, Number.isNaN(score))
          : close(`score_${index}`, [score], [expected]);
      });
  },
};

/** C2-score and its parts. */
export const c2Suite = folderSuite('fact/c2', (path, name) => {
  const check = CHECKS[name.startsWith('pairs') ? 'pairs' : name];
  return check === undefined ? 'not yet' : check(readFactCase(path));
});
