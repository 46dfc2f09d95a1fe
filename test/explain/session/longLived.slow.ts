import * as tf from '@tensorflow/tfjs';
import { beforeAll, expect, it } from 'vitest';
import { Random } from '../../../src/core/random.js';
import { startEngine } from '../../../src/engine/start.js';
import { Explainer } from '../../../src/explain/explainer.js';
import { randomImage, randomSae, smallModel } from '../fixtures.js';

const CALLS = 300;
/** Calls until every size has been met and ONNX Runtime's arenas have their size. */
const WARM_UP = 100;
const SIZES = [16, 20, 24, 28, 32, 36];
/** Graphs that one compiled function holds by default. */
const GRAPH_LIMIT = 8;
const ALLOWED_GROWTH_BYTES = 96 * 1024 * 1024;

beforeAll(async () => {
  await startEngine({ engine: 'onnx', threads: 1 });
});

it('a process that explains pictures of many sizes in batches of many sizes holds its memory', async () => {
  const model = smallModel();
  const sae = randomSae(model, 'layer3');
  const early = randomSae(model, 'layer1', 32, 3, 2);
  const explainer = new Explainer(model, sae, { early, top: 3 });
  const random = new Random(1, 0);
  let [tensors, resident] = [0, 0];
  let most = 0;
  for (let call = 0; call < CALLS; call++) {
    const size = SIZES[random.integer(SIZES.length)];
    const images = Array.from({ length: 1 + random.integer(8) }, (_, i) =>
      randomImage(call + i, i % 5, size),
    );
    const explained = await explainer.explain(images);
    for (const { ledgers } of explained) expect(ledgers.every(({ holds }) => holds)).toBe(true);
    if (call === WARM_UP) {
      tensors = tf.memory().numTensors;
      resident = process.memoryUsage().rss;
    }
    if (call >= WARM_UP) most = Math.max(most, process.memoryUsage().rss);
    expect(explainer.graphs.held).toBeLessThanOrEqual(GRAPH_LIMIT);
  }
  expect(explainer.graphs.compiled).toBeLessThan(3 * GRAPH_LIMIT);
  expect(tf.memory().numTensors).toBe(tensors);
  expect(most - resident).toBeLessThan(ALLOWED_GROWTH_BYTES);
  explainer.dispose();
  for (const one of [sae, early, model]) one.dispose();
}, 400_000);
