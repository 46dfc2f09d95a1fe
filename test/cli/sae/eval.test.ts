import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { register } from '../../../src/cli/sae.js';
import { createSae, loadSae, saveSae } from '../../../src/explain/sae.js';
import { loadModel } from '../../../src/models/loadModel.js';
import { saeEvaluationSchema } from '../../../src/train/sae/eval/evaluationSchema.js';
import { writeEvaluationState } from '../../../src/train/sae/eval/evaluationState.js';
import { CLASS_NAMES, randomSae, smallModel } from '../../explain/fixtures.js';
import { jpegOf, randomPicture } from '../../fixtures/pictures.js';
import { runVerbOf, useExplainCase, writeBroken } from '../explainCase.js';

describe('fact sae eval', () => {
  const made = useExplainCase();
  const at = (name: string): string => join(made.root, name);
  const data = at('data');
  const own = join(made.model, 'saes', 'layer2');
  const evaluate = (...argv: string[]) => runVerbOf(register, 'sae', 'eval', ...argv);
  const measure = (...argv: string[]) => evaluate(made.model, own, '--data-dir', data, ...argv);
  const readJson = (name: string) =>
    saeEvaluationSchema.parse(JSON.parse(readFileSync(join(at(name), 'evaluation.json'), 'utf8')));

  /** A data set of class folders with so many pictures each. */
  async function writeData(folder: string, perClass: number, pixels?: Buffer): Promise<void> {
    for (const [c, name] of CLASS_NAMES.entries()) {
      mkdirSync(join(folder, name), { recursive: true });
      for (let i = 0; i < perClass; i++)
        writeFileSync(
          join(folder, name, `${i}.jpg`),
          pixels ?? (await jpegOf(randomPicture(20, 20, c * 100 + i, true))),
        );
    }
  }

  beforeAll(async () => {
    await writeData(data, 3);
    const model = await loadModel(made.model);
    const other = randomSae(model, 'layer2', 40, 3, 5);
    await saveSae(at('other'), other);
    other.dispose();
    model.dispose();
  });

  it('writes one JSON and one page, prints the same numbers, and gives the same bytes again', async () => {
    const first = await measure('--out', at('first'), '--against', own, at('other'), '--image-batch', '4');
    expect(first.status, first.stderr).toBe(0);
    expect(readdirSync(at('first')).sort()).toEqual(['evaluation.json', 'index.html']);
    expect(existsSync(`${at('first')}.partial`)).toBe(false);
    const e = readJson('first');
    expect(e.data).toMatchObject({ images: 15, classes: 5, broken: [], positions: 64 });
    expect(e.autoencoder).toMatchObject({ tap: 'layer2', latents: 64, k: 3 });
    expect(e.concepts.activePositions.reduce((sum, n) => sum + n, 0)).toBeCloseTo(
      15 * 64 * e.sparsity.l0.mean,
      6,
    );
    expect(e.contributions.conceptsTo80Images.reduce((sum, n) => sum + n, 0)).toBe(15);
    expect(e.spatial.pixels).toMatchObject({ images: 15, conceptsPerImage: 5, imagePixels: 256 });
    expect(e.stability.map(({ path, all }) => [path, all.pairs])).toEqual([
      [own, 64],
      [at('other'), 40],
    ]);
    expect(e.stability[0].all.mean).toBeCloseTo(1, 5);
    expect(e.stability[1].all.mean).toBeLessThan(0.95);
    expect(first.stdout).toContain(`top-1 ${e.accuracy.top1Percent.toFixed(2)} %`);
    expect(first.stdout).toContain(`against ${at('other')}: matched cosine of `);
    const page = readFileSync(join(at('first'), 'index.html'), 'utf8');
    expect(page.match(/<figure>/g)).toHaveLength(8);
    expect(page.match(/<figcaption>[^<]{60,}/g)).toHaveLength(8);
    expect(page).not.toMatch(/<script|https?:\/\/|NaN|undefined|Infinity/);

    const second = await measure(
      '--out',
      at('second'),
      '--against',
      own,
      at('other'),
      '--image-batch',
      '4',
      '--json',
    );
    expect(JSON.parse(second.stdout)).toEqual(e);
    for (const file of ['evaluation.json', 'index.html'])
      expect(readFileSync(join(at('second'), file))).toEqual(readFileSync(join(at('first'), file)));
  });

  it('gives the same numbers for any size of batch', async () => {
    const results = await Promise.resolve().then(async () => {
      const list = [];
      for (const size of ['1', '7'])
        list.push(JSON.parse((await measure('--image-batch', size, '--json')).stdout));
      return list;
    });
    const [a, b] = results;
    expect(a.accuracy).toEqual(b.accuracy);
    expect(a.sparsity).toEqual(b.sparsity);
    expect(a.concepts.activePositions).toEqual(b.concepts.activePositions);
    expect(a.contributions.conceptsTo80).toBeCloseTo(b.contributions.conceptsTo80 ?? 0, 6);
    expect(a.reconstruction.varianceExplained).toBeCloseTo(b.reconstruction.varianceExplained ?? 0, 6);
  });

  it('takes images that are all black', async () => {
    const folder = at('black');
    await writeData(
      folder,
      1,
      await jpegOf({ ...randomPicture(20, 20, 1), data: new Uint8Array(20 * 20 * 3) }),
    );
    const { status, stdout, stderr } = await evaluate(
      made.model,
      own,
      '--data-dir',
      folder,
      '--json',
      '--out',
      at('dark'),
    );
    expect(status, stderr).toBe(0);
    const e = saeEvaluationSchema.parse(JSON.parse(stdout));
    expect(e.data.images).toBe(5);
    expect(readFileSync(join(at('dark'), 'index.html'), 'utf8')).not.toMatch(/NaN|undefined/);
  });

  it('takes a single image', async () => {
    const folder = at('single');
    await writeData(folder, 0);
    cpSync(join(data, CLASS_NAMES[1], '0.jpg'), join(folder, CLASS_NAMES[1], '0.jpg'));
    const { status, stdout, stderr } = await evaluate(
      ...[made.model, own, '--data-dir', folder, '--out', at('one'), '--json', '--pixel-images', '0'],
    );
    expect(status, stderr).toBe(0);
    const e = saeEvaluationSchema.parse(JSON.parse(stdout));
    expect(e.data).toMatchObject({ images: 1, classes: 1 });
    expect(e.contributions.coverage.deviation).toBeNull();
    expect(e.sparsity.imageL0.deviation).toBeNull();
    expect(e.labels).toMatchObject({ entropyMean: 0, effectiveClassesMean: 1, largestEntropy: 0 });
    expect(e.spatial.pixels).toBeNull();
    expect(readFileSync(join(at('one'), 'index.html'), 'utf8')).not.toMatch(/NaN|undefined/);
  });

  it('takes an autoencoder whose k is all of its concepts', async () => {
    const model = await loadModel(made.model);
    const all = randomSae(model, 'layer2', 6, 6);
    await saveSae(at('all'), all);
    all.dispose();
    model.dispose();
    const { status, stdout, stderr } = await evaluate(made.model, at('all'), '--data-dir', data, '--json');
    expect(status, stderr).toBe(0);
    const e = saeEvaluationSchema.parse(JSON.parse(stdout));
    expect(e.sparsity.l0.mean).toBeLessThanOrEqual(6);
    expect(e.contributions.coverage.mean.length).toBeLessThanOrEqual(6);
  });

  it('says where a code under a threshold has no free place', async () => {
    const good = await loadSae(own);
    const { channels, latents, tap } = good;
    const [encoder, decoder] = [good.encoder, good.decoder].map((t) => t.dataSync() as Float32Array);
    const code = { architecture: 'batchtopk', threshold: 1e-6, k: 2 } as const;
    const narrow = createSae({ channels, latents, tap, encoder, decoder, ...code });
    await saveSae(at('narrow'), narrow);
    narrow.dispose();
    good.dispose();
    const { status, stdout, stderr } = await evaluate(made.model, at('narrow'), '--data-dir', data);
    expect(status, stderr).toBe(0);
    expect(stdout).toMatch(/positions where all 2 places are taken: \d/);
    expect((await measure()).stdout).not.toContain('places are taken');
  });

  it('counts and names broken images, and measures the others', async () => {
    const folder = at('some broken');
    cpSync(data, folder, { recursive: true });
    writeBroken(join(folder, CLASS_NAMES[0], '1.jpg'));
    writeBroken(join(folder, CLASS_NAMES[3], '2.jpg'));
    const { status, stdout, stderr } = await evaluate(
      ...[made.model, own, '--data-dir', folder, '--json', '--out', at('rest'), '--image-batch', '2'],
    );
    expect(status, stderr).toBe(0);
    const e = saeEvaluationSchema.parse(JSON.parse(stdout));
    expect(e.data.images).toBe(13);
    expect(e.data.broken.map(({ name }) => name)).toEqual([
      expect.stringContaining(join(CLASS_NAMES[3], '2.jpg')),
      expect.stringContaining(join(CLASS_NAMES[0], '1.jpg')),
    ]);
    expect(stderr.match(/skipped: /g)).toHaveLength(2);
    expect(readFileSync(join(at('rest'), 'index.html'), 'utf8')).toContain('2 could not be read');
    for (const name of CLASS_NAMES) for (let i = 0; i < 3; i++) writeBroken(join(folder, name, `${i}.jpg`));
    rmSync(join(folder, CLASS_NAMES[0]), { recursive: true });
    mkdirSync(join(folder, CLASS_NAMES[0]));
    for (const name of CLASS_NAMES.slice(1)) rmSync(join(folder, name, '0.jpg'));
    const none = await evaluate(made.model, own, '--data-dir', folder, '--out', at('none'));
    expect(none.status).toBe(1);
    expect(none.stderr).toContain('none of the 8 pictures could be read');
    expect(none.stderr).toContain('[E_DATA_EMPTY]');
    expect(existsSync(at('none'))).toBe(false);
  });

  it('refuses what does not belong together, and writes nothing', async () => {
    const stranger = smallModel({
      seed: 99,
      blocks: [1, 1],
      inputSize: 16,
      preprocessing: { resize: 16, crop: [16, 16] },
    });
    await stranger.save(at('stranger'));
    stranger.dispose();
    mkdirSync(at('three classes/a'), { recursive: true });
    cpSync(join(data, CLASS_NAMES[1], '0.jpg'), at('three classes/a/0.jpg'));
    mkdirSync(at('empty'));
    mkdirSync(at('pictures'));
    cpSync(join(data, CLASS_NAMES[1], '0.jpg'), at('pictures/0.jpg'));
    const good = await loadSae(own);
    const { channels, latents, k, tap } = good;
    const values = new Float32Array(channels * latents).fill(1e38);
    const huge = createSae({ channels, latents, k, tap, encoder: values, decoder: values });
    await saveSae(at('huge'), huge);
    huge.dispose();
    good.dispose();
    mkdirSync(at('mine'));
    writeFileSync(at('mine/letter.txt'), 'keep me');
    for (const [argv, status, message] of [
      [[at('stranger'), own, '--data-dir', data], 1, 'E_SAE_MISMATCH'],
      [
        [made.model, own, '--data-dir', data, '--against', join(made.model, 'saes', 'layer1')],
        1,
        'E_SAE_MISMATCH',
      ],
      [[made.model, own, '--data-dir', data, '--against', at('nowhere')], 1, 'E_SAE_MISSING'],
      [[made.model, own, '--data-dir', at('three classes')], 1, 'E_DATA_CLASSES'],
      [[made.model, own, '--data-dir', at('empty')], 1, 'E_DATA_EMPTY'],
      [[made.model, own, '--data-dir', at('pictures')], 1, 'E_DATA_'],
      [[made.model, at('huge'), '--data-dir', data], 1, 'E_NOT_FINITE'],
    ] as const) {
      const outcome = await evaluate(...argv, '--out', at('refused'));
      expect(outcome.stderr).toContain(message);
      expect(outcome.status, outcome.stderr).toBe(status);
      expect(existsSync(at('refused'))).toBe(false);
      expect(existsSync(`${at('refused')}.partial`)).toBe(false);
    }
    const inTheWay = await measure('--out', at('mine'));
    expect(inTheWay.status).toBe(2);
    expect(inTheWay.stderr).toContain('[E_OUT_EXISTS]');
    expect(readdirSync(at('mine'))).toEqual(['letter.txt']);
  });

  it('does not go on from sums that are damaged or of other work', async () => {
    const partial = `${at('again')}.partial`;
    const state = join(partial, 'state.safetensors');
    mkdirSync(partial);
    writeEvaluationState(state, 'other work', {
      batches: 1,
      broken: [],
      sums: { accuracy: new Float64Array(6) },
    });
    const fresh = await measure('--out', at('again'), '--json');
    expect(fresh.status, fresh.stderr).toBe(0);
    expect(fresh.stderr).not.toContain('going on');
    expect(JSON.parse(fresh.stdout).data.images).toBe(15);
    mkdirSync(partial);
    writeFileSync(state, 'not sums');
    const { status, stderr } = await measure('--out', at('again'));
    expect(status).toBe(1);
    expect(stderr).toContain('[E_EVAL_STATE]');
    expect(readJson('again').data.images).toBe(15);
    rmSync(partial, { recursive: true });
    mkdirSync(partial);
    writeFileSync(join(partial, 'letter.txt'), 'keep me');
    expect((await measure('--out', at('again'))).stderr).toContain('[E_OUT_EXISTS]');
    expect(readdirSync(partial)).toEqual(['letter.txt']);
  });
});
