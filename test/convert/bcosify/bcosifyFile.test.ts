import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { bcosify } from '../../../src/convert/bcosify/bcosify.js';
import { bcosifyFile } from '../../../src/convert/bcosify/bcosifyFile.js';
import { convertCheckpoint } from '../../../src/convert/convertCheckpoint.js';
import { tensorsOfModel } from '../../../src/convert/modelState.js';
import { writePyTorch } from '../../../src/convert/pytorch/pytorchWriter.js';
import type { FactError } from '../../../src/core/errors.js';
import { loadModel } from '../../../src/models/loadModel.js';
import { useEngine } from '../../engine.js';
import { temporaryFolders } from '../../fixtures/pictures.js';
import { SMALL, trained } from '../standardNetworks.js';

useEngine();
const newFolder = temporaryFolders();
/** A Python with PyTorch named by FACT_PYTHON, else null: no other test needs one. */
const python =
  process.env.FACT_PYTHON !== undefined && existsSync(process.env.FACT_PYTHON)
    ? process.env.FACT_PYTHON
    : null;

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'no error',
    (error: unknown) => (error as FactError).code,
  );

describe('a checkpoint file B-cosified', () => {
  const [arch, { inputSize, ...options }] = SMALL[0];

  it('is recognised where its architecture is a known one, and reported', async () => {
    const folder = newFolder();
    const standard = trained(arch, { inputSize, ...options });
    const source = join(folder, 'net.pth');
    writePyTorch(source, tensorsOfModel(standard), null);
    const target = join(folder, 'twin');
    const set = { ...options, inputSize };
    const report = await bcosifyFile(source, target, { arch, set });
    expect(report).toMatchObject({ from: arch, to: 'bcosified_resnet', form: 'equal', source, target });
    expect(report.logits.relativeError).toBeLessThanOrEqual(1e-5);
    const twin = await loadModel(target);
    expect(twin.countParameters()).toBe(report.parameters);
    expect(twin.spec.source).toContain('net.pth');
    twin.dispose();
    // A saved network does as well, and an existing target stays.
    await standard.save(join(folder, 'saved'));
    expect(await codeOf(bcosifyFile(join(folder, 'saved'), target))).toBe('E_EXISTS');
    expect((await bcosifyFile(join(folder, 'saved'), target, { force: true, form: 'published' })).form).toBe(
      'published',
    );
    expect(await codeOf(bcosifyFile(source, join(folder, 'twin.pth'), { arch, set }))).toBe('E_USAGE');
    expect(await codeOf(bcosifyFile(target, join(folder, 'again')))).toBe('E_BCOSIFY');
    expect(existsSync(join(folder, 'again'))).toBe(false);
    standard.dispose();
  });

  it('makes the round trip through PyTorch files, B included', async () => {
    const folder = newFolder();
    const standard = trained(arch, { inputSize, ...options });
    const twin = bcosify(standard);
    for (const entry of twin.stateDict()) if (entry.name.endsWith('.b')) entry.write(Float32Array.of(1.25));
    const [saved, file, back] = ['saved', 'net.pth', 'back'].map((name) => join(folder, name));
    await twin.save(saved);
    await convertCheckpoint(saved, file);
    await convertCheckpoint(file, back, { arch: 'bcosified_resnet', set: { ...options, inputSize } });
    const [weights, again] = [saved, back].map((place) => readFileSync(join(place, 'weights.bin')));
    expect(again.equals(weights)).toBe(true);
    standard.dispose();
    twin.dispose();
  });

  it.skipIf(python === null).each(['densenet.pth', 'densenet-oldest.pth'])(
    '%s has the logits that PyTorch computes (needs FACT_PYTHON with PyTorch)',
    async (file) => {
      const folder = newFolder();
      execFileSync(python ?? '', [join(import.meta.dirname, '..', 'denseNet.py'), folder]);
      const target = join(folder, 'twin');
      const [dense, set] = SMALL[2];
      await bcosifyFile(join(folder, file), target, { arch: dense, set });
      const { x, y } = JSON.parse(readFileSync(join(folder, 'io.json'), 'utf8')) as {
        x: number[];
        y: number[];
      };
      const twin = await loadModel(target);
      const logits = tf.tidy(() =>
        (twin.network.apply(tf.tensor4d(x, [2, 40, 40, 3])) as tf.Tensor).dataSync(),
      );
      expect(Math.hypot(...y.map((value, i) => value - logits[i])) / Math.hypot(...y)).toBeLessThan(1e-5);
      twin.dispose();
    },
  );
});
