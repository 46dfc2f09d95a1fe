import { Random } from '../../../src/core/random.js';
import type { FeatureSource } from '../../../src/train/sae/features/featureSource.js';
import { MemoryFeatures } from '../../../src/train/sae/features/memoryFeatures.js';

/** Rows that are sparse positive mixtures of `concepts` random directions, with a little noise. */
export async function syntheticFeatures(
  rows: number,
  channels: number,
  concepts: number,
  seed = 1,
): Promise<FeatureSource> {
  const random = new Random(seed);
  const directions = Array.from({ length: concepts }, () =>
    Float64Array.from({ length: channels }, () => random.normal()),
  );
  const sink = new MemoryFeatures({ channels, tap: 'layer1', arch: null, modelHash: null }, rows);
  const values = new Float32Array(rows * channels);
  for (let i = 0; i < rows; i++) {
    for (let n = 0; n < 3; n++) {
      const direction = directions[random.integer(concepts)];
      const strength = random.uniform(0.5, 2);
      for (let c = 0; c < channels; c++) values[i * channels + c] += strength * direction[c];
    }
    for (let c = 0; c < channels; c++) values[i * channels + c] += 0.05 * random.normal();
  }
  await sink.append(values);
  return sink.finish();
}
