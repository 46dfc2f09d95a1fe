import { expect, test, vi } from 'vitest';
import { OrtRuntime } from '../../src/engine/onnx/session.js';

/** An onnxruntime-node of another version, whose sessions and binding can be made to misbehave. */
const fake = vi.hoisted(() => ({ product: [1, 4, 9], canCreate: true }));
vi.mock('onnxruntime-node', () => ({
  env: { versions: { node: '1.99.0' } },
  Tensor: class {
    constructor(
      readonly type: string,
      readonly data: Float32Array,
      readonly dims: readonly number[],
    ) {}
  },
  InferenceSession: {
    create: async () => {
      if (!fake.canCreate) throw new Error('Unsupported model IR version');
      return { release: async () => {} };
    },
  },
}));
vi.mock('onnxruntime-node/dist/binding.js', () => ({
  initOrt: () => {},
  binding: {
    InferenceSession: class {
      loadModel(): void {}
      run(_feeds: unknown, fetches: Record<string, { data: Float32Array }>): void {
        fetches.y.data.set(fake.product);
      }
      dispose(): void {}
    },
  },
}));

test('another version whose binding behaves is used', async () => {
  await expect(OrtRuntime.load(1)).resolves.toBeInstanceOf(OrtRuntime);
});

test('another version whose binding misbehaves is refused, with both versions and the command that helps', async () => {
  fake.product = [0, 0, 0];
  await expect(OrtRuntime.load(1)).rejects.toMatchObject({
    code: 'E_ENGINE_MISSING',
    message: expect.stringMatching(/1\.30\.0 is not usable \(version 1\.99\.0 is installed\).*self-test/),
    remedy: expect.stringContaining('npm install onnxruntime-node@1.30.0'),
  });
  await expect(OrtRuntime.load(1, 'graphs')).resolves.toBeInstanceOf(OrtRuntime);
});

test('a graph that it refuses is its own error', async () => {
  fake.canCreate = false;
  const runtime = await OrtRuntime.load(1, 'graphs');
  await expect(runtime.graphSession(new Uint8Array(3))).rejects.toThrow('Unsupported model IR version');
});
