import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { Random } from '../../../src/core/random.js';
import { evalTransform } from '../../../src/data/evalTransform.js';
import { serializeModel } from '../../../src/engine/onnx/proto.js';
import { toPlanes } from '../../../src/explain/exported/check.js';
import { addPhotoFront } from '../../../src/explain/exported/front.js';

const SIZES = [
  [64, 64],
  [48, 91],
  [91, 48],
  [375, 500],
  [33, 21],
  [1, 1],
  [7, 300],
  [401, 129],
] as const;

/** A graph that is only the front. */
async function front(resize: number, crop: [number, number]): Promise<InferenceSession> {
  const dims = ['batch', 3, ...crop];
  const empty = {
    nodes: [],
    constants: [],
    inputs: [{ name: 'image', type: 'float32', dims } as const],
    outputs: [],
  };
  const parts = addPhotoFront(empty, { image: 'image', photo: 'photo' }, 'batch', { resize, crop });
  return InferenceSession.create(serializeModel(parts, 'front'));
}

describe.each([
  [64, [64, 64]],
  [73, [64, 64]],
  [256, [224, 224]],
  [30, [64, 48]],
] as const)('a photograph as bytes, shorter side to %i, crop %j', (resize, crop) => {
  it('is prepared bit for bit as the evaluation does it', async () => {
    const session = await front(resize, [...crop]);
    for (const [height, width] of SIZES) {
      const random = new Random(3, height * width);
      const noise = Uint8Array.from({ length: height * width * 3 }, () => Math.floor(random.uniform(0, 256)));
      for (const data of [
        noise,
        noise.map((v) => (v > 99 ? 255 : 0)),
        new Uint8Array(noise.length).fill(255),
      ]) {
        const photo = new Tensor('uint8', data, [1, height, width, 3]);
        const { prepared } = await session.run({ photo });
        const expected = toPlanes(evalTransform({ data, height, width }, { resize, crop }));
        expect(
          Buffer.compare(Buffer.from((prepared.data as Float32Array).buffer), Buffer.from(expected.buffer)),
          `${height} x ${width}`,
        ).toBe(0);
      }
    }
    await session.release();
  });
});

it('several photographs of one size are prepared at once', async () => {
  const session = await front(16, [16, 16]);
  const data = Uint8Array.from({ length: 2 * 20 * 30 * 3 }, (_, i) => (i * 37) % 256);
  const { prepared } = await session.run({ photo: new Tensor('uint8', data, [2, 20, 30, 3]) });
  const half = data.length / 2;
  const expected = [data.slice(0, half), data.slice(half)].map((one) =>
    toPlanes(evalTransform({ data: one, height: 20, width: 30 }, { resize: 16, crop: [16, 16] })),
  );
  expect(prepared.dims).toEqual([2, 3, 16, 16]);
  expect([...(prepared.data as Float32Array)]).toEqual([...expected[0], ...expected[1]]);
  await session.release();
});
