/**
 * Memory of a process that explains for a long time: `npx tsx bench/longLived.ts [--images 10000] [--every 500] [--top 2]`.
 *
 * Pictures of five sizes in batches of 1 to 8 go through the shipped network in an order drawn at random. Printed are the
 * resident memory, the number of tensors, and the graphs held and compiled; the last lines say by how much the memory
 * grew after the first fifth.
 */
import { parseArgs } from 'node:util';
import * as tf from '@tensorflow/tfjs';
import { Random } from '../src/core/random.js';
import { startEngine } from '../src/engine/start.js';
import { Explainer } from '../src/explain/explainer.js';
import { defaultModelFolder, openSaes } from '../src/explain/session/shipped.js';
import { loadModel } from '../src/models/loadModel.js';

const { values } = parseArgs({
  options: {
    images: { type: 'string', default: '10000' },
    every: { type: 'string', default: '500' },
    top: { type: 'string', default: '2' },
    threads: { type: 'string', default: '2' },
  },
});
const total = Number(values.images);
const every = Number(values.every);
const SIZES = [24, 32, 40, 48, 56];

await startEngine({ engine: 'onnx', threads: Number(values.threads) });
const folder = defaultModelFolder();
const model = await loadModel(folder);
const { concepts, traces } = await openSaes(model, folder, []);
const explainer = new Explainer(model, concepts?.sae ?? null, {
  early: traces?.sae ?? null,
  top: Number(values.top),
});
const random = new Random(1, 0);
const start = performance.now();
const samples: { readonly images: number; readonly rss: number; readonly tensors: number }[] = [];
let worst = 0;
let done = 0;
while (done < total) {
  const size = SIZES[random.integer(SIZES.length)];
  const count = Math.min(1 + random.integer(8), total - done);
  const images = Array.from({ length: count }, (_, i) => ({
    name: `picture ${done + i}`,
    pixels: Uint8Array.from({ length: size * size * 3 }, () => random.integer(256)),
    height: size,
    width: size,
    original: null,
    trueClass: random.integer(2) === 0 ? null : random.integer(50),
  }));
  for (const { ledgers } of await explainer.explain(images))
    for (const { relativeError } of ledgers) worst = Math.max(worst, relativeError);
  if (Math.floor(done / every) !== Math.floor((done + count) / every)) {
    const rss = Math.round(process.memoryUsage().rss / 1e6);
    const { numTensors } = tf.memory();
    const { held, compiled } = explainer.graphs;
    samples.push({ images: done + count, rss, tensors: numTensors });
    console.log(
      `${done + count} explained, ${((performance.now() - start) / (done + count)).toFixed(1)} ms each, ${rss} MB, ${numTensors} tensors, ${held} graphs held, ${compiled} compiled`,
    );
  }
  done += count;
}
const settled = samples.slice(Math.floor(samples.length / 5));
const [least, most] = [Math.min, Math.max].map((pick) => pick(...settled.map(({ rss }) => rss)));
console.log(
  `after the first fifth: ${least} to ${most} MB; tensors ${new Set(samples.map((s) => s.tensors)).size === 1 ? 'constant' : 'NOT CONSTANT'}`,
);
console.log(`largest relative error of all sums: ${worst.toExponential(1)}`);
explainer.dispose();
