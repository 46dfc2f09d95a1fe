/** Runs of `fact sae train` in processes of their own, ended from outside. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { testEngine } from '../../../engineName.js';
import { CLASS_NAMES, SIZE, smallModel } from '../../../explain/fixtures.js';
import { jpegOf, randomPicture } from '../../../fixtures/pictures.js';

const FACT = join(import.meta.dirname, '..', '..', '..', 'cli', 'factChild.ts');

export interface Ended {
  /** null where a signal ended it. */
  readonly status: number | null;
  readonly stderr: string;
}

/** What is sent to a run, each so many milliseconds after training began. */
export interface Blow {
  readonly signal: NodeJS.Signals;
  readonly afterMs: number;
}

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Runs `fact sae ...` and sends it signals once `begun` says that it is at work. */
export async function fact(
  argv: readonly string[],
  blows: readonly Blow[] = [],
  begun: () => boolean = () => true,
): Promise<Ended> {
  const child = spawn(
    process.execPath,
    ['--import', 'tsx', FACT, 'sae', ...argv, '--engine', testEngine(), '--threads', '1'],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let stderr = '';
  child.stderr.on('data', (text) => {
    stderr += String(text);
  });
  let isOver = false;
  const ended = new Promise<number | null>((resolve) =>
    child.once('close', (status) => {
      isOver = true;
      resolve(status);
    }),
  );
  while (blows.length > 0 && !isOver && !begun()) await wait(5);
  for (const { signal, afterMs } of blows) {
    await wait(afterMs);
    if (!isOver) child.kill(signal);
  }
  return { status: await ended, stderr };
}

/** A network and a data set, small. */
export async function writeCase(root: string): Promise<{ readonly model: string; readonly data: string }> {
  const made = { model: join(root, 'model'), data: join(root, 'data') };
  const model = smallModel();
  await model.save(made.model);
  model.dispose();
  for (const [c, name] of CLASS_NAMES.entries()) {
    mkdirSync(join(made.data, name), { recursive: true });
    for (let i = 0; i < 10; i++)
      writeFileSync(
        join(made.data, name, `${i}.jpg`),
        await jpegOf(randomPicture(SIZE, SIZE, 10 * c + i, true)),
      );
  }
  return made;
}

/** The files of a run that must come out the same, whatever happened on the way. */
export function filesOf(out: string): Record<string, string> {
  const names = [
    'sae/sae_weights.safetensors',
    'sae/cfg.json',
    'best/cfg.json',
    'last/cfg.json',
    'metrics.jsonl',
  ];
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(out, name), 'latin1')]));
}

/** Whether a run has logged since it was last asked about. */
export function begunIn(out: string): () => boolean {
  const size = () =>
    existsSync(join(out, 'metrics.jsonl')) ? readFileSync(join(out, 'metrics.jsonl')).length : 0;
  const before = size();
  return () => size() !== before;
}
