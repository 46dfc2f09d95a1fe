import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { register } from '../../src/cli/concepts.js';
import { Journal } from '../../src/core/journal.js';
import { classesSchema } from '../../src/explain/concepts/classes/classesReport.js';
import { type Gallery, gallerySchema } from '../../src/explain/concepts/gallery/gallerySchema.js';
import { ConceptPass } from '../../src/explain/concepts/pass.js';
import { CLASS_NAMES } from '../explain/fixtures.js';
import { pngOf, randomPicture } from '../fixtures/pictures.js';
import { type Outcome, runVerbOf, useExplainCase, writeBroken } from './explainCase.js';
import { differingFiles, until } from './manyPictures.js';

const PER_CLASS = 4;

/** Pictures in class folders, one of them broken and one black. */
async function writeData(folder: string): Promise<void> {
  for (const [c, name] of CLASS_NAMES.entries()) {
    mkdirSync(join(folder, name), { recursive: true });
    for (let i = 0; i < PER_CLASS; i++) {
      const picture = randomPicture(20, 20, 10 * c + i, true);
      if (c === 1 && i === 1) picture.data.fill(0);
      writeFileSync(join(folder, name, `${i}.png`), await pngOf(picture));
    }
  }
  writeBroken(join(folder, 'tabby', 'broken.png'));
}

/** Files below a folder. */
const filesIn = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();

describe('fact concepts', () => {
  const made = useExplainCase();
  const data = join(made.root, 'data');
  const at = (name: string): string => join(made.root, name);
  const concepts = (...argv: string[]): Promise<Outcome> => runVerbOf(register, 'concepts', ...argv);
  const gallery = (out: string, ...argv: string[]): Promise<Outcome> =>
    concepts(
      ...['gallery', '--model', made.model, '--data-dir', data, '--image-batch', '4', '--per-concept', '3'],
      ...['--out', at(out), ...argv],
    );
  const readGallery = (out: string): Gallery =>
    gallerySchema.parse(JSON.parse(readFileSync(join(at(out), 'concepts.json'), 'utf8')));

  beforeAll(() => writeData(data));

  /** Runs a command in this process and presses Ctrl-C at the given call of a method. */
  async function pressed(
    target: { prototype: object },
    method: string,
    calls: number,
    command: () => Promise<Outcome>,
  ): Promise<Outcome> {
    const object = target.prototype as Record<string, (...args: unknown[]) => unknown>;
    const original = object[method];
    let count = 0;
    const spy = vi.spyOn(object, method).mockImplementation(function (this: unknown, ...args) {
      if (++count === calls) process.emit('SIGINT');
      return original.apply(this, args);
    });
    try {
      return await command();
    } finally {
      spy.mockRestore();
    }
  }

  it('makes a gallery: every number in the schema, every picture on disk, every sum holds', async () => {
    const before = tf.memory().numTensors;
    const { status, stdout, stderr } = await gallery('whole', '--top', '5');
    expect(status, stderr).toBe(0);
    expect(tf.memory().numTensors).toBe(before);
    expect(stdout).toContain('20 images');
    expect(stdout).toMatch(/All \d+ sums checked/);
    expect(stderr).toMatch(/warning: skipped: .*broken\.png/);
    const found = readGallery('whole');
    expect(found.concepts).toHaveLength(5);
    expect(found.summary).toMatchObject({ images: 20, skipped: 1, withoutConcept: 0, failed: 0 });
    expect(found.skipped[0].code).toBe('E_IMAGE_CORRUPT');
    for (const card of found.concepts) {
      const samples = new Set(card.shown.map(({ sample }) => sample));
      for (const list of Object.values(card.tops)) {
        expect(list.length).toBeLessThanOrEqual(3);
        for (const sample of list) expect(samples.has(sample)).toBe(true);
      }
      for (const image of card.shown) {
        for (const file of [image.cutOut, image.colours, image.photo])
          expect(existsSync(join(at('whole'), file)), file).toBe(true);
        expect(image.ledger.holds).toBe(true);
        expect(Math.abs((image.ledger.left ?? 0) - image.presence)).toBeLessThan(1e-4 * image.presence);
      }
    }
    expect(filesIn(at('whole')).some((name) => name.includes('.tmp') || name.endsWith('.jsonl'))).toBe(false);
    expect(existsSync(`${at('whole')}.partial`)).toBe(false);
    expect(existsSync(`${at('whole')}.lock`)).toBe(false);
  });

  it('lists on its pages what the JSON lists, and nothing from elsewhere', () => {
    const found = readGallery('whole');
    const page = readFileSync(join(at('whole'), 'index.html'), 'utf8');
    const items = JSON.parse(/id="items">(.*?)<\/script>/s.exec(page)?.[1] ?? '');
    expect(items.map(([concept]: [number]) => concept)).toEqual(found.concepts.map(({ concept }) => concept));
    expect(page).toContain('broken.png');
    const cards = filesIn(join(at('whole'), 'cards'));
    expect(cards).toHaveLength(found.concepts.length);
    for (const card of found.concepts) {
      const text = readFileSync(
        join(at('whole'), 'cards', `${String(card.concept).padStart(5, '0')}.html`),
        'utf8',
      );
      for (const image of card.shown) expect(text).toContain(image.cutOut);
      for (const one of card.classes.predicted) expect(text).toContain(one.class.name);
      for (const near of card.neighbours.decoder) expect(text).toContain(`concept ${near.concept}`);
    }
    const classes = readFileSync(join(at('whole'), 'classes.html'), 'utf8');
    for (const one of found.classes.filter(({ grouping }) => grouping === 'predicted'))
      expect(classes).toContain(`id="class-${one.class?.index}"`);
    for (const name of filesIn(at('whole')).filter((one) => one.endsWith('.html'))) {
      const text = readFileSync(join(at('whole'), name), 'utf8');
      expect(text).not.toMatch(/(src|href)="(https?:|\/\/)/);
      for (const [, file] of text.matchAll(/(?:src|href)="([^"#?]+)/g))
        expect(existsSync(join(at('whole'), name, '..', decodeURI(file))), `${name}: ${file}`).toBe(true);
    }
  });

  it('keeps the same images whatever the size of the batches', async () => {
    for (const batch of ['1', '3']) {
      const { status } = await gallery('batches', '--top', '2', '--image-batch', batch);
      expect(status).toBe(0);
      const [a, b] = [readGallery('whole'), readGallery('batches')];
      expect(b.concepts.map(({ concept, tops }) => [concept, tops])).toEqual(
        a.concepts.slice(0, 2).map(({ concept, tops }) => [concept, tops]),
      );
    }
  });

  it('stops at Ctrl-C, in the pass and while drawing, and ends with the bytes of an undisturbed run', async () => {
    const again = (): Promise<Outcome> => gallery('resumed', '--top', '5');
    const first = await pressed(ConceptPass, 'run', 2, again);
    expect([first.status, existsSync(at('resumed'))]).toEqual([130, false]);
    expect(first.stderr).toMatch(/stopped: \d+ of 21 images so far/);
    const second = await pressed(Journal, 'add', 2, again);
    expect(second.status).toBe(130);
    expect(second.stderr).toMatch(/[1-9]\d* images were counted by an earlier run/);
    expect(second.stderr).toContain('stopped: 2 cards so far');
    const half = gallerySchema.parse(
      JSON.parse(readFileSync(join(`${at('resumed')}.partial`, 'concepts.json'), 'utf8')),
    );
    expect(half.concepts).toHaveLength(2);
    // What a process killed while it wrote would leave, is not part of the end.
    writeFileSync(join(`${at('resumed')}.partial`, 'cards', '.00001.html.77.tmp'), 'half a p');
    writeFileSync(join(`${at('resumed')}.partial`, '.totals.safetensors.77.tmp'), 'half');
    const last = await again();
    expect(last.status, last.stderr).toBe(0);
    expect(last.stderr).toContain('2 concepts were drawn by an earlier run');
    expect(differingFiles(at('whole'), at('resumed'))).toEqual([]);
    const anew = await again();
    expect(anew.stderr).toContain('20 images were counted by an earlier run');
    expect(differingFiles(at('whole'), at('resumed'))).toEqual([]);
  });

  it('prints the card of a concept, from an earlier gallery too', async () => {
    const [{ concept }] = readGallery('whole').concepts;
    const { status, stdout, stderr } = await concepts(
      ...['card', String(concept), '--model', made.model, '--from', at('whole'), '--out', at('card')],
      ...['--image-batch', '4'],
    );
    expect(status, stderr).toBe(0);
    expect(stderr).toContain('20 images were counted by an earlier run');
    expect(stdout).toContain(`concept ${concept}: `);
    expect(stdout.match(/presence +[\d.]+ = pixels +[\d.]+, relative \S+: holds/g)?.length).toBeGreaterThan(
      2,
    );
    const [[a], [b]] = [readGallery('whole').concepts, readGallery('card').concepts];
    expect(b).toEqual(a);
    const strict = await concepts(
      ...['card', String(concept), '--model', made.model, '--from', at('whole'), '--out', at('card')],
      ...['--tolerance', '1e-12'],
    );
    expect(strict.status).toBe(1);
    expect(strict.stdout).toContain('DOES NOT HOLD');
  });

  it('tells which concepts a class stands on and which classes share one', async () => {
    const direct = await concepts(
      'classes',
      '--model',
      made.model,
      '--data-dir',
      data,
      '--json',
      '--image-batch',
      '4',
    );
    expect(direct.status, direct.stderr).toBe(0);
    const report = classesSchema.parse(JSON.parse(direct.stdout));
    const stored = await concepts('classes', '--from', at('whole'), '--json', '--out', at('classes.html'));
    expect(JSON.parse(stored.stdout)).toEqual(report);
    expect(stored.stderr).not.toContain('network ');
    expect(readFileSync(at('classes.html'), 'utf8')).toContain('src="whole/');
    cpSync(at('whole'), at('50% of #1 & more'), { recursive: true });
    await concepts('classes', '--from', at('50% of #1 & more'), '--out', at('other.html'));
    const pictures = [...readFileSync(at('other.html'), 'utf8').matchAll(/src="([^"]+)"/g)];
    expect(pictures.length).toBeGreaterThan(0);
    for (const [, url] of pictures)
      expect(existsSync(fileURLToPath(new URL(url, pathToFileURL(at('other.html'))))), url).toBe(true);
    for (const one of report.classes) expect(one.holds).toBe(true);
    const [entry] = report.classes;
    const single = await concepts('classes', '--from', at('whole'), '--class', entry.class.name);
    expect(single.stdout).toContain(`concept ${String(entry.concepts[0].concept).padStart(5)}`);
    expect(single.stdout).toMatch(/residual .*: holds/);
    const [shared] = report.concepts;
    const byConcept = await concepts('classes', '--from', at('whole'), '--concept', String(shared.concept));
    expect(byConcept.stdout).toContain(`concept ${shared.concept}: ${shared.classes[0].class.name}`);
    expect((await concepts('classes', '--from', at('whole'))).stdout).toContain('share');
  });

  it('looks at pictures without labels, at a single one, and at black ones', async () => {
    const flat = at('flat');
    mkdirSync(flat);
    const black = randomPicture(16, 16, 1);
    black.data.fill(0);
    writeFileSync(join(flat, 'black.png'), await pngOf(black));
    const { status, stderr } = await gallery('flat-out', '--data-dir', flat, '--concepts', '3,3,9');
    expect(status, stderr).toBe(0);
    const found = readGallery('flat-out');
    expect(found.summary).toMatchObject({ images: 1, correct: null, cards: 2 });
    expect(found.data.isLabelled).toBe(false);
    for (const card of found.concepts) {
      expect(card.classes.labelled).toEqual([]);
      for (const image of card.shown) expect(image.label).toBeNull();
    }
    const other = at('elsewhere');
    mkdirSync(join(other, 'school bus'), { recursive: true });
    mkdirSync(join(other, 'unheard of'));
    for (const name of ['school bus', 'unheard of'])
      writeFileSync(join(other, name, 'a.png'), await pngOf(randomPicture(16, 16, 5, true)));
    await gallery('other-out', '--data-dir', other, '--top', '1');
    const labels = readGallery('other-out').concepts[0].shown.map(({ label }) => label?.name);
    expect(new Set(labels)).toEqual(new Set(['school bus', undefined]));
  });

  it.each([
    [['gallery'], 2, 'E_USAGE', 'no data set is given'],
    [['gallery', 'DATA', '--concepts', '3,64'], 2, 'E_CONCEPT_UNKNOWN', 'the autoencoder has 64'],
    [['gallery', 'DATA', '--concepts', 'fish'], 2, 'E_USAGE', '"fish" is not the number of a concept'],
    [['gallery', 'DATA', '--concepts', '3', '--top', '4'], 2, 'E_USAGE', 'both --concepts and --top'],
    [['gallery', 'DATA', '--tolerance', 'NaN'], 2, 'E_USAGE', 'not a positive number'],
    [['gallery', 'DATA', '--split', 'val', '--top', '1'], 0, '', ''],
    [['gallery', 'DATA', '--from', 'MODEL'], 2, 'E_CONCEPTS_FROM', 'holds no finished pass'],
    [['gallery', '--data-dir', 'NOWHERE'], 1, 'E_DATA_MISSING', 'there is no data set'],
    [['gallery', '--data-dir', 'EMPTY'], 1, 'E_DATA_EMPTY', 'no pictures'],
    [['gallery', '--data-dir', 'BROKEN'], 1, 'E_DATA_EMPTY', 'none of the 2 pictures can be read'],
    [['gallery', 'DATA', '--out', 'PHOTOS'], 2, 'E_OUT_EXISTS', 'is not a gallery'],
    [['card', '64', 'DATA'], 2, 'E_CONCEPT_UNKNOWN', 'there is no concept 64'],
    [['classes', 'DATA', '--class', 'scool bus'], 2, 'E_CLASS', 'Did you mean "school bus"'],
    [['classes', 'DATA', '--concept', '999'], 2, 'E_CONCEPT_UNKNOWN', 'there is no concept 999'],
    [['classes', 'DATA', '--concept', '1', '--class', 'tabby'], 2, 'E_USAGE', 'both --class and --concept'],
    [['classes', '--from', 'PHOTOS'], 2, 'E_CONCEPTS_FROM', 'is not the list of a gallery'],
  ])('answers bad use: %j', async (words, status, code, message) => {
    for (const name of ['empty', 'broken-only/a']) mkdirSync(at(name), { recursive: true });
    for (const name of ['1.png', '2.jpg']) writeBroken(join(at('broken-only/a'), name));
    const places: Record<string, string[]> = {
      DATA: ['--data-dir', data],
      NOWHERE: [at('nowhere')],
      EMPTY: [at('empty')],
      BROKEN: [at('broken-only')],
      PHOTOS: [made.photos],
      MODEL: [made.model],
    };
    const model = words[0] === 'classes' && words[1] === '--from' ? [] : ['--model', made.model];
    const out = words.includes('--out') || words[0] === 'classes' ? [] : ['--out', at('bad')];
    const before = filesIn(made.photos);
    const argv = words.flatMap((word) => places[word] ?? [word]);
    const outcome = await concepts(...argv, ...model, ...out);
    expect(outcome.status, outcome.stderr).toBe(status);
    if (status !== 0) expect(outcome.stderr).toContain(`[${code}]`);
    expect(outcome.stderr).toContain(message);
    expect(filesIn(made.photos)).toEqual(before);
    rmSync(at('bad'), { recursive: true, force: true });
  });

  it('refuses too many broken pictures, and a folder that it may not write to', async () => {
    const folder = at('rotten');
    mkdirSync(join(folder, 'tabby'), { recursive: true });
    for (let i = 0; i < 12; i++) writeBroken(join(folder, 'tabby', `${i}.png`));
    writeFileSync(join(folder, 'tabby', 'good.png'), await pngOf(randomPicture(16, 16, 2)));
    const rotten = await gallery('rotten-out', '--data-dir', folder);
    expect([rotten.status, existsSync(at('rotten-out'))]).toEqual([1, false]);
    expect(rotten.stderr).toContain('[E_DATA_TOO_MANY_BROKEN]');
    writeFileSync(at('a-file'), 'no folder');
    const blocked = await concepts(
      ...['gallery', '--model', made.model, '--data-dir', data, '--out', join(at('a-file'), 'below')],
    );
    expect([blocked.status, blocked.stderr.includes('[E_WRITE]')]).toEqual([1, true]);
    expect(readFileSync(at('a-file'), 'utf8')).toBe('no folder');
  });

  it('is not gone on with from totals that are damaged, or in a folder of other things', async () => {
    const partial = `${at('odd')}.partial`;
    mkdirSync(partial);
    writeFileSync(join(partial, 'totals.safetensors'), 'nonsense');
    const damaged = await gallery('odd', '--top', '1');
    expect([damaged.status, damaged.stderr.includes('[E_CONCEPTS_STATE]')]).toEqual([1, true]);
    writeFileSync(join(partial, 'thesis.txt'), 'years of work');
    const foreign = await gallery('odd', '--top', '1');
    expect([foreign.status, foreign.stderr.includes('[E_OUT_EXISTS]')]).toEqual([2, true]);
    expect(readFileSync(join(partial, 'thesis.txt'), 'utf8')).toBe('years of work');
  });

  it('waits while another process makes the same gallery, and can be stopped meanwhile', async () => {
    const lock = `${at('busy')}.lock`;
    writeFileSync(lock, 'process 1 on another machine');
    const waiting = gallery('busy', '--top', '1');
    await until(() => process.listenerCount('SIGINT') > 0);
    process.emit('SIGINT');
    expect((await waiting).status).toBe(130);
    expect(readFileSync(lock, 'utf8')).toBe('process 1 on another machine');
    expect(existsSync(at('busy'))).toBe(false);
  });

  it('refuses the pass of other data', async () => {
    const other = await gallery('mixed', '--data-dir', at('elsewhere'), '--from', at('whole'));
    expect([other.status, other.stderr.includes('[E_CONCEPTS_FROM]')]).toEqual([2, true]);
    expect(other.stderr).toContain('is of another network, autoencoder or data set');
  });
});
