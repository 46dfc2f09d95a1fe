import * as tf from '@tensorflow/tfjs';
import { expect, it } from 'vitest';
import { networkPart } from '../../src/explain/networkPart.js';
import { ImageFiles, MAX_SKIPPED } from '../../src/explain/session/imageFiles.js';
import { useEngine } from '../engine.js';
import { smallModel } from './fixtures.js';

useEngine('cpu');

it('a network with two inputs cannot be explained', () => {
  const inputs = [tf.input({ shape: [3] }), tf.input({ shape: [3] })];
  const outputs = tf.layers.add().apply(inputs) as tf.SymbolicTensor;
  expect(() => networkPart(tf.model({ inputs, outputs }))).toThrowError(
    expect.objectContaining({ code: 'E_EXPLAIN_MODEL', message: expect.stringContaining('2 inputs') }),
  );
});

it('a hundred broken pictures are skipped, one more ends the reading', async () => {
  const model = smallModel();
  const paths = Array.from({ length: MAX_SKIPPED + 2 }, (_, i) => `missing-${i}.jpg`);
  const files = new ImageFiles(paths, model.spec);
  await expect(files.groups(4).next()).rejects.toMatchObject({
    code: 'E_IMAGE_TOO_MANY_BROKEN',
    message: expect.stringContaining(`missing-${MAX_SKIPPED}.jpg`),
  });
  model.dispose();
});
