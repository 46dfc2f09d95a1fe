import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { testEngine } from '../../engineName.js';
import { CLASS_NAMES } from '../../explain/fixtures.js';
import { jpegOf, randomPicture } from '../../fixtures/pictures.js';
import { useExplainCase, writeBroken } from '../explainCase.js';

const CLI = join(import.meta.dirname, '..', 'factChild.ts');
const PER_CLASS = 120;
/** Time between the start of the measuring and the signal. */
const DELAY_MS = 1500;

describe('fact sae eval that is stopped', () => {
  const made = useExplainCase();
  const data = join(made.root, 'data');
  beforeAll(async () => {
    for (const [c, name] of CLASS_NAMES.entries()) {
      mkdirSync(join(data, name), { recursive: true });
      for (let i = 0; i < PER_CLASS; i++) {
        const path = join(data, name, `${i}.jpg`);
        if (i % 60 === 7) writeBroken(path);
        else writeFileSync(path, await jpegOf(randomPicture(16, 16, 1000 * c + i, true)));
      }
    }
  });

  /** Runs the command; a signal is sent once it measures. */
  function start(out: string, signal: NodeJS.Signals | null): Promise<{ code: number | null; text: string }> {
    const sae = join(made.model, 'saes', 'layer2');
    const words = ['sae', 'eval', made.model, sae, '--data-dir', data, '--out', out, '--image-batch', '2'];
    const child = spawn(process.execPath, [
      ...['--import', 'tsx', CLI, ...words, '--workers', '0', '--engine', testEngine(), '--threads', '1'],
    ]);
    let text = '';
    let isSent = signal === null;
    child.stderr.on('data', (piece) => {
      text += piece;
      if (isSent || !text.includes('concepts at layer2')) return;
      isSent = true;
      setTimeout(() => child.kill(signal ?? 'SIGINT'), DELAY_MS);
    });
    return new Promise((resolve) => child.once('close', (code) => resolve({ code, text })));
  }

  it('by Ctrl-C exits with 130 and goes on to the same files as undisturbed; killed, it leaves nothing half-written', async () => {
    const [whole, out] = [join(made.root, 'whole'), join(made.root, 'out')];
    expect((await start(whole, null)).code).toBe(0);
    expect((await start(out, 'SIGKILL')).code).toBeNull();
    expect(existsSync(out)).toBe(false);
    const stopped = await start(out, 'SIGINT');
    expect(stopped.code, stopped.text).toBe(130);
    expect(stopped.text).toContain('the same command goes on from there');
    expect(existsSync(out)).toBe(false);
    expect(existsSync(join(`${out}.partial`, 'state.safetensors'))).toBe(true);
    const last = await start(out, null);
    expect(last.code, last.text).toBe(0);
    expect(last.text).toMatch(/an earlier run measured \d+ images; going on/);
    expect(existsSync(`${out}.partial`)).toBe(false);
    for (const name of ['evaluation.json', 'index.html'])
      expect(readFileSync(join(out, name))).toEqual(readFileSync(join(whole, name)));
  }, 300_000);
});
