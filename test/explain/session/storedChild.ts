/** Explains one random picture with a network and a cache of programs; says whether tfjs was loaded. */
import { createRequire } from 'node:module';
import { DiskCache } from '../../../src/core/diskCache.js';
import { openSession } from '../../../src/explain/session/session.js';

const [model, cache] = process.argv.slice(2);
const session = await openSession({
  model,
  top: 4,
  engine: { engine: 'onnx', threads: 1 },
  cache: DiskCache.open(cache),
  first: { program: 'explain', count: () => 1 },
});
const [height, width] = session.spec.preprocessing.crop;
const pixels = Uint8Array.from({ length: height * width * 3 }, (_, i) => (i * 37) % 256);
const [explanation] = await session.explainer.explain([
  { name: 'picture', pixels, height, width, original: null, trueClass: null },
]);
await session.close();
const loaded = Object.keys(createRequire(import.meta.url).cache).filter((path) =>
  /tfjs-core.*\.js$/.test(path),
);
const { isStored } = session;
process.stdout.write(JSON.stringify({ isStored, tfjs: loaded.length, logit: explanation.predicted.logit }));
