import { expect, test, vi } from 'vitest';
import { startEngine } from '../../../src/engine/start.js';

// A library that starts; nothing is computed here.
vi.mock('../../../src/engine/tensorflow/nativeBinding.js', () => ({
  openNativeBinding: async () => ({ version: '2.18.1', device: 'CPU', origin: 'a test' }),
}));
vi.mock('../../../src/engine/tensorflow/libraryPlace.js', async (original) => ({
  ...(await original<typeof import('../../../src/engine/tensorflow/libraryPlace.js')>()),
  findLibrary: () => ({ folder: '', remedy: '' }),
}));
vi.mock('../../../src/engine/tensorflow/officialBinding.js', () => ({
  findOfficial: () => ({ addon: null, reason: null }),
}));

test('the number of threads holds for the process: another one is refused, none or the same is not', async () => {
  const started = await startEngine({ engine: 'tensorflow', threads: 1 });
  expect(started).toMatchObject({
    name: 'tensorflow',
    compiles: false,
    library: { version: '2.18.1', device: 'CPU', origin: 'a test' },
  });
  await startEngine({ engine: 'cpu' });
  await startEngine({ engine: 'tensorflow' });
  await startEngine({ engine: 'tensorflow', threads: 1 });
  await expect(startEngine({ engine: 'tensorflow', threads: 2 })).rejects.toMatchObject({
    code: 'E_ENGINE_THREADS',
    message: expect.stringContaining('1 threads'),
  });
});
