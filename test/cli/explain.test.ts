import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { register } from '../../src/cli/explain.js';
import { reportSchema } from '../../src/explain/report/reportSchema.js';
import { relativeError } from '../goldens/format.js';
import { runVerbOf, useExplainCase, writeBroken } from './explainCase.js';

describe('fact explain', () => {
  const made = useExplainCase();
  const tabby = join(made.photos, 'tabby', 'photo 0.png');
  const explain = (...argv: string[]) =>
    runVerbOf(register, 'explain', '--top', '3', ...argv, '--model', made.model);

  it('writes report.json of the documented schema, a page and a picture an image', async () => {
    const out = join(made.root, 'out');
    const { status, stdout } = await explain(made.photos, '--out', out, '--top', '4');
    expect(status).toBe(0);
    expect(stdout).toContain(join(out, 'index.html'));
    const report = reportSchema.parse(JSON.parse(readFileSync(join(out, 'report.json'), 'utf8')));
    expect(report.summary).toMatchObject({ images: 3, skipped: 0, failed: 0 });
    expect(report.summary.worstRelativeError).toBeLessThanOrEqual(1e-5);
    expect(report.autoencoders.map((sae) => [sae.tap, sae.role])).toEqual([
      ['layer2', 'concepts'],
      ['layer1', 'traces'],
    ]);
    for (const image of report.images) {
      expect(image.concepts.length).toBeGreaterThan(0);
      expect(image.concepts.length).toBeLessThanOrEqual(4);
      const { format, width } = await sharp(join(out, image.picture ?? '')).metadata();
      expect([format, width]).toEqual(['png', 1280]);
      const values = new Float32Array(new Uint8Array(Buffer.from(image.map?.base64 ?? '', 'base64')).buffer);
      const sum = values.reduce((s, v) => s + v, 0);
      expect(Math.abs(sum - image.target.score)).toBeLessThanOrEqual(
        1e-4 * values.reduce((s, v) => s + Math.abs(v), 0),
      );
    }
  });

  it('makes a page that loads nothing from anywhere', async () => {
    const page = readFileSync(join(made.root, 'out', 'index.html'), 'utf8');
    expect(page).toMatch(/^<!doctype html>/);
    expect(page.match(/(?:src|href)="(?!data:)/g)).toBeNull();
    expect(page).not.toContain('<script');
    for (const tag of page.match(/<img [^>]*>/g) ?? []) expect(tag).toMatch(/ alt="[^"]+"/);
  });

  it('writes the same bytes when run twice', async () => {
    const out = join(made.root, 'twice');
    await explain(tabby, '--out', out);
    const first = readdirSync(out).map((name) => [
      name,
      existsSync(join(out, name)) && name !== 'pictures' ? readFileSync(join(out, name), 'utf8') : '',
    ]);
    await explain(tabby, '--out', out);
    const second = readdirSync(out).map((name) => [
      name,
      name !== 'pictures' ? readFileSync(join(out, name), 'utf8') : '',
    ]);
    expect(second).toEqual(first);
  });

  it('gives the same numbers with --no-compile', async () => {
    const json = async (...argv: string[]) =>
      reportSchema.parse(
        JSON.parse(
          (await explain(tabby, '--json', '--quiet', '--out', join(made.root, 'n'), ...argv)).stdout,
        ),
      );
    const [a, b] = [await json(), await json('--no-compile')];
    expect(b.images[0].concepts.map((c) => c.concept)).toEqual(a.images[0].concepts.map((c) => c.concept));
    expect(
      relativeError(
        b.images[0].concepts.map((c) => c.contribution),
        a.images[0].concepts.map((c) => c.contribution),
      ),
    ).toBeLessThan(1e-5);
  });

  it('compares two classes, by name or number', async () => {
    const argv = [
      tabby,
      '--json',
      '--out',
      join(made.root, 'versus'),
      '--class',
      'School_Bus',
      '--versus',
      '4',
    ];
    const report = reportSchema.parse(JSON.parse((await explain(...argv)).stdout));
    const { target, holds } = report.images[0];
    expect([target.for.name, target.versus?.name, target.reason, holds]).toEqual([
      'school bus',
      'espresso',
      'asked',
      true,
    ]);
  });

  it('compares a wrong answer with the true class of the folder by itself', async () => {
    const report = JSON.parse(
      (await explain(made.photos, '--json', '--out', join(made.root, 'wrong'))).stdout,
    );
    for (const image of reportSchema.parse(report).images) {
      const isWrong = image.trueClass !== null && image.trueClass.index !== image.predicted.index;
      expect(image.target.reason).toBe(isWrong ? 'misclassified' : 'predicted');
      expect(image.target.versus?.index ?? null).toBe(isWrong ? image.trueClass?.index : null);
    }
  });

  it('suggests the nearest class for a name that it does not know', async () => {
    const { status, stderr } = await explain(tabby, '--class', 'volleybal', '--out', join(made.root, 'x'));
    expect(status).toBe(2);
    expect(stderr).toContain('Did you mean "volleyball"?');
    expect(stderr).toContain('[E_CLASS]');
    expect(existsSync(join(made.root, 'x'))).toBe(false);
  });

  it.each([
    [['--top', '0'], 'E_USAGE'],
    [['--top', 'many'], 'E_USAGE'],
    [['--tolerance', '-1'], 'E_USAGE'],
    [['--class', '2', '--versus', 'volleyball'], 'E_USAGE'],
    [['--class', '99'], 'E_CLASS'],
  ])('refuses %j as wrong usage', async (argv, code) => {
    const { status, stderr } = await explain(tabby, ...argv, '--out', join(made.root, 'x'));
    expect([status, stderr.includes(`[${code}]`)]).toEqual([2, true]);
  });

  it('names, skips and counts broken pictures of a folder', async () => {
    const broken = writeBroken(join(made.photos, 'elsewhere', 'broken.jpg'));
    const { status, stderr, stdout } = await explain(
      made.photos,
      '--json',
      '--out',
      join(made.root, 'broken'),
    );
    rmSync(broken);
    expect(status).toBe(1);
    expect(stderr).toContain('broken.jpg');
    const { summary, skipped } = reportSchema.parse(JSON.parse(stdout));
    expect(summary).toMatchObject({ images: 3, skipped: 1 });
    expect(skipped[0].name).toBe(broken);
  });

  it('fails and writes nothing where every picture is broken, and keeps an earlier report', async () => {
    const broken = writeBroken(join(made.root, 'broken.jpg'));
    const out = join(made.root, 'kept');
    await explain(tabby, '--out', out);
    const { status, stderr } = await explain(broken, '--out', out);
    expect(status).toBe(1);
    expect(stderr).toMatch(/error: .*broken\.jpg.*\n.*\[E_IMAGE_/);
    expect(JSON.parse(readFileSync(join(out, 'report.json'), 'utf8')).images[0].name).toBe(tabby);
    expect(readdirSync(made.root).filter((name) => name.startsWith('.kept'))).toEqual([]);
  });

  it('never replaces a folder that is not a report', async () => {
    const out = join(made.root, 'precious');
    mkdirSync(out);
    writeFileSync(join(out, 'thesis.txt'), 'years of work');
    const { status, stderr } = await explain(tabby, '--out', out);
    expect([status, stderr.includes('[E_OUT_EXISTS]')]).toEqual([2, true]);
    expect(readdirSync(out)).toEqual(['thesis.txt']);
  });

  it('says what is missing: picture, network, autoencoder', async () => {
    expect((await explain(join(made.root, 'none.jpg'))).stderr).toContain('[E_IMAGE_MISSING]');
    const model = await runVerbOf(
      register,
      'explain',
      tabby,
      '--model',
      join(made.root, 'none'),
      '--out',
      join(made.root, 'x'),
    );
    expect([model.status, model.stderr.includes('[E_MODEL_MISSING]')]).toEqual([1, true]);
    const sae = await explain(tabby, '--sae', join(made.root, 'none'), '--out', join(made.root, 'x'));
    expect([sae.status, sae.stderr.includes('[E_SAE_MISSING]')]).toEqual([1, true]);
  });

  it('refuses an autoencoder of other weights and names both', async () => {
    const config = join(made.model, 'saes', 'layer2', 'cfg.json');
    const before = readFileSync(config, 'utf8');
    const { model_weights_hash: hash } = JSON.parse(before);
    writeFileSync(config, before.replace(hash, 'f'.repeat(64)));
    const { status, stderr } = await explain(tabby, '--out', join(made.root, 'x'));
    writeFileSync(config, before);
    expect([status, stderr.includes('[E_SAE_MISMATCH]')]).toEqual([1, true]);
    expect(stderr).toContain('f'.repeat(12));
    expect(stderr).toContain(hash.slice(0, 12));
  });
});
