import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { register } from '../../../src/cli/concepts.js';
import { testEngine } from '../../engineName.js';
import { CLASS_NAMES } from '../../explain/fixtures.js';
import { pngOf, randomPicture } from '../../fixtures/pictures.js';
import { runVerbOf, useExplainCase } from '../explainCase.js';
import { differingFiles, linesOf, until } from '../manyPictures.js';

const CLI = join(import.meta.dirname, '..', 'factChild.ts');

describe('the gallery of processes that were killed', () => {
  const made = useExplainCase();
  const data = join(made.root, 'data');
  beforeAll(async () => {
    for (const [c, name] of CLASS_NAMES.entries()) {
      mkdirSync(join(data, name), { recursive: true });
      for (let i = 0; i < 60; i++)
        writeFileSync(join(data, name, `${i}.png`), await pngOf(randomPicture(16, 16, 1000 * c + i, true)));
    }
  });

  it('is that of one process that was not', async () => {
    const [whole, out] = [join(made.root, 'whole'), join(made.root, 'gallery')];
    const argv = ['--model', made.model, '--data-dir', data, '--top', '8', '--image-batch', '2'];
    const full = await runVerbOf(register, 'concepts', 'gallery', ...argv, '--out', whole);
    expect(full.status, full.stderr).toBe(0);

    const start = (): { child: ChildProcess; ended: Promise<{ code: number | null; text: string }> } => {
      const words = [
        'concepts',
        'gallery',
        ...argv,
        '--out',
        out,
        '--engine',
        testEngine(),
        '--threads',
        '1',
      ];
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
    const journal = join(`${out}.partial`, 'cards.jsonl');
    const inPass = start();
    await until(() => inPass.child.exitCode !== null || existsSync(`${out}.lock`));
    inPass.child.kill('SIGKILL');
    expect((await inPass.ended).code).toBeNull();
    const inCards = start();
    await until(() => inCards.child.exitCode !== null || linesOf(journal) > 4);
    inCards.child.kill('SIGKILL');
    expect((await inCards.ended).code).toBeNull();
    expect(existsSync(out)).toBe(false);
    const last = await start().ended;
    expect(last.code, last.text).toBe(0);
    expect(last.text).toMatch(/300 images were counted by an earlier run/);
    expect(last.text).toMatch(/[1-9]\d* concepts were drawn by an earlier run/);
    expect(existsSync(`${out}.partial`)).toBe(false);
    expect(differingFiles(whole, out)).toEqual([]);
  }, 500_000);
});
