import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { register as registerExplain } from '../../src/cli/explain.js';
import { reportSchema } from '../../src/explain/report/reportSchema.js';
import { testEngine } from '../engineName.js';
import { runVerbOf, useExplainCase } from './explainCase.js';
import { differingFiles, linesOf, until, writePictures } from './manyPictures.js';

const COUNT = 33;
const BROKEN = [7, 21];
const CLI = join(import.meta.dirname, 'factChild.ts');

describe('the report of processes that were killed and stopped', () => {
  const made = useExplainCase();
  const photos = join(made.root, 'many');
  beforeAll(() => writePictures(photos, COUNT, BROKEN));

  it('is that of one process that was not', async () => {
    const [whole, out] = [join(made.root, 'whole'), join(made.root, 'report')];
    const partial = `${out}.partial`;
    const argv = ['--top', '2', '--model', made.model];
    const full = await runVerbOf(registerExplain, 'explain', photos, ...argv, '--out', whole);
    expect(full.status).toBe(1);
    const { summary } = reportSchema.parse(JSON.parse(readFileSync(join(whole, 'report.json'), 'utf8')));
    expect(summary).toMatchObject({ images: COUNT - BROKEN.length, skipped: BROKEN.length, failed: 0 });

    const start = (): { child: ChildProcess; ended: Promise<{ code: number | null; text: string }> } => {
      const words = ['explain', photos, ...argv, '--out', out, '--engine', testEngine(), '--threads', '1'];
      const child = spawn(process.execPath, ['--import', 'tsx', CLI, ...words], {
        env: { ...process.env, FACT_CACHE: join(made.root, 'cache') },
      });
      let text = '';
      child.stderr.on('data', (piece) => {
        text += piece;
      });
      const ended = new Promise<{ code: number | null; text: string }>((resolve) =>
        child.once('close', (code) => resolve({ code, text })),
      );
      return { child, ended };
    };
    const journal = join(partial, 'images.jsonl');
    const killed = start();
    await until(() => killed.child.exitCode !== null || linesOf(journal) > 9);
    killed.child.kill('SIGKILL');
    expect((await killed.ended).code).toBeNull();
    expect(existsSync(out)).toBe(false);

    const stopped = start();
    await until(() => stopped.child.exitCode !== null || linesOf(journal) > 17);
    stopped.child.kill('SIGINT');
    const { code, text } = await stopped.ended;
    expect(code).toBe(130);
    expect(text).toContain('explained by an earlier run');
    expect(text).toContain('the same command goes on from there');
    const half = reportSchema.parse(JSON.parse(readFileSync(join(partial, 'report.json'), 'utf8')));
    expect(half.summary.images).toBe(linesOf(journal) - 1);
    expect(readFileSync(join(partial, 'index.html'), 'utf8').match(/<article>/g)).toHaveLength(
      half.summary.images,
    );

    const last = start();
    expect((await last.ended).code).toBe(1);
    expect(existsSync(partial)).toBe(false);
    expect(differingFiles(whole, out)).toEqual([]);
  }, 500_000);
});
