import { existsSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { register as registerExplain } from '../../src/cli/explain.js';
import { register as registerPredict } from '../../src/cli/predict.js';
import { register as registerVerify } from '../../src/cli/verify.js';
import { Journal } from '../../src/core/journal.js';
import { reportSchema } from '../../src/explain/report/reportSchema.js';
import { type Outcome, runVerbOf, useExplainCase } from './explainCase.js';
import { differingFiles, linesOf, writePictures } from './manyPictures.js';

const COUNT = 60;
const BROKEN = [7, 31, 58];

describe('a folder of pictures, three of them broken', () => {
  const made = useExplainCase();
  const photos = join(made.root, 'many');
  beforeAll(async () => {
    await writePictures(photos, COUNT, BROKEN);
  });

  const run = (register: (program: Command) => void, verb: string, ...argv: string[]): Promise<Outcome> =>
    runVerbOf(register, verb, photos, '--model', made.model, ...argv);

  /** Runs a command in this process and presses Ctrl-C when it has kept so many results. */
  async function pressed(results: number, command: () => Promise<Outcome>): Promise<Outcome> {
    const add = Journal.prototype.add;
    let count = 0;
    const spy = vi.spyOn(Journal.prototype, 'add').mockImplementation(function (
      this: Journal<unknown>,
      record,
    ) {
      add.call(this, record);
      if (++count === results) process.emit('SIGINT');
    });
    try {
      return await command();
    } finally {
      spy.mockRestore();
    }
  }

  it('is verified or predicted line by line; Ctrl-C leaves whole lines and 130, the same command goes on', async () => {
    for (const [verb, register] of [
      ['verify', registerVerify],
      ['predict', registerPredict],
    ] as const) {
      const [whole, out] = [join(made.root, `${verb}-whole.jsonl`), join(made.root, `${verb}.jsonl`)];
      const full = await run(register, verb, '--json', '--out', whole);
      expect(full.status).toBe(1);
      expect(linesOf(whole)).toBe(1 + COUNT - BROKEN.length);
      const first = await pressed(10, () => run(register, verb, '--json', '--out', out));
      expect(first.status).toBe(130);
      const done = linesOf(out) - 1;
      expect(done).toBe(16);
      expect(JSON.parse(first.stdout).images).toHaveLength(done);
      expect(first.stderr).toContain(`stopped: ${done} of ${COUNT} pictures done so far, in ${out}`);
      const second = await run(register, verb, '--json', '--out', out);
      expect(second.status).toBe(1);
      expect(second.stderr).toContain(`${done} of ${COUNT} pictures were`);
      expect(second.stderr.match(/^warning: skipped: .*cannot be decoded/gm)).toHaveLength(BROKEN.length);
      expect(second.stdout).toBe(full.stdout);
      expect(readFileSync(out, 'utf8')).toBe(readFileSync(whole, 'utf8'));
    }
  });

  it('is not gone on with in a file of other settings, which stays as it is', async () => {
    const out = join(made.root, 'predict.jsonl');
    const before = readFileSync(out, 'utf8');
    const other = await run(registerPredict, 'predict', '--top', '2', '--out', out);
    expect([other.status, other.stderr.includes('it was made with another top')]).toEqual([2, true]);
    writeFileSync(join(made.root, 'thesis.txt'), 'years of work\n');
    const foreign = await run(registerPredict, 'predict', '--out', join(made.root, 'thesis.txt'));
    expect([foreign.status, foreign.stderr.includes('it is not ours')]).toEqual([2, true]);
    expect(readFileSync(out, 'utf8')).toBe(before);
    expect(readFileSync(join(made.root, 'thesis.txt'), 'utf8')).toBe('years of work\n');
  });

  it('has a picture done again that was changed or mended since', async () => {
    const out = join(made.root, 'predict.jsonl');
    const [changed, mended] = [join(photos, '00.png'), join(photos, '07.png')];
    const [good, bad] = [readFileSync(changed), readFileSync(mended)];
    writeFileSync(mended, good);
    utimesSync(changed, new Date(), new Date(Date.now() + 5000));
    const again = await run(registerPredict, 'predict', '--json', '--out', out);
    writeFileSync(mended, bad);
    // 57 were done: seven whole groups of eight, of which one picture has changed.
    expect(again.stderr).toContain(`55 of ${COUNT} pictures were`);
    const names = JSON.parse(again.stdout).images.map(({ name }: { name: string }) => name);
    expect(names).toHaveLength(COUNT - BROKEN.length + 1);
    expect([...names].sort()).toEqual(names);
  });

  it('is explained as it comes: Ctrl-C leaves a report of what is done, and the end is that of one run', async () => {
    const [whole, out] = [join(made.root, 'whole'), join(made.root, 'report')];
    const partial = `${out}.partial`;
    const some = join(made.root, 'some');
    await writePictures(some, 12, [3]);
    const explain = (...argv: string[]): Promise<Outcome> =>
      runVerbOf(registerExplain, 'explain', some, '--model', made.model, ...argv);
    expect((await explain('--top', '2', '--out', whole)).status).toBe(1);
    const stopped = await pressed(2, () => explain('--top', '2', '--out', out));
    expect(stopped.status).toBe(130);
    expect(stopped.stderr).toContain('the same command goes on from there');
    expect(existsSync(out)).toBe(false);
    const half = reportSchema.parse(JSON.parse(readFileSync(join(partial, 'report.json'), 'utf8')));
    expect(half.summary).toMatchObject({ images: 8, skipped: 1 });
    expect(readFileSync(join(partial, 'index.html'), 'utf8').match(/<article>/g)).toHaveLength(8);

    const resumed = await explain('--top', '2', '--out', out);
    expect(resumed.status).toBe(1);
    expect(resumed.stderr).toContain('8 of 12 pictures were explained by an earlier run');
    expect(existsSync(partial)).toBe(false);
    expect(differingFiles(whole, out)).toEqual([]);

    await pressed(2, () => explain('--top', '2', '--out', out));
    expect(differingFiles(whole, out)).toEqual([]);
    const anew = await explain(join(some, '00.png'), '--top', '1', '--out', out);
    expect(anew.stderr).not.toContain('by an earlier run');
    const report = JSON.parse(readFileSync(join(out, 'report.json'), 'utf8'));
    expect([report.settings.top, existsSync(partial)]).toEqual([1, false]);
  });

  it('is not explained into what is not ours', async () => {
    const out = join(made.root, 'taken');
    mkdirSync(`${out}.partial`);
    writeFileSync(join(`${out}.partial`, 'thesis.txt'), 'years of work');
    const refused = await run(registerExplain, 'explain', '--top', '2', '--out', out);
    expect([refused.status, refused.stderr.includes('[E_OUT_EXISTS]')]).toEqual([2, true]);
    expect(readdirSync(`${out}.partial`)).toEqual(['thesis.txt']);
  });
});
