// Opens the shipped network as a library user does, and explains one picture: startupChild.mjs DIST IMAGE
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [dist, image] = process.argv.slice(2);
const load = (name) => import(pathToFileURL(join(dist, name)));
const { DiskCache } = await load('core/diskCache.js');
const { openSession } = await load('explain/session.js');
const session = await openSession({
  engine: { engine: 'onnx' },
  cache: DiskCache.open(process.env.FACT_CACHE),
  first: { program: 'explain', count: () => 1 },
});
const [height, width] = session.spec.preprocessing.crop;
const blank = {
  name: 'blank',
  pixels: new Uint8Array(height * width * 3),
  height,
  width,
  original: null,
  trueClass: null,
};
// A session that is not stored compiles at its first call: ready is when that call has ended.
if (!session.isStored) await session.explainer.explain([blank]);
globalThis.factMark('ready');
const { readImage } = await load('explain/imageFiles.js');
await session.explainer.explain([await readImage(image, session.spec)]);
globalThis.factMark('explained');
await session.close();
