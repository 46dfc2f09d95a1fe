import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sha256 } from '../../src/core/hash.js';
import type { Random } from '../../src/core/random.js';
import { readCheckpointFile } from '../../src/train/checkpoint/format.js';
import type { TrainConfig } from '../../src/train/config/schema.js';

const CHILD = join(import.meta.dirname, 'trainChild.ts');

/** Every stored tensor of a checkpoint as one hash. */
export function tensorsHash(path: string): string {
  const { tensors } = readCheckpointFile(path);
  return sha256(
    JSON.stringify([...tensors].map(([name, t]) => [name, sha256(new Uint8Array(t.values.buffer))])),
  );
}

/** Starts training in a process of its own. */
function startChild(config: TrainConfig, data: string, out: string, resume: boolean): ChildProcess {
  const recipe = `${out}.json`;
  writeFileSync(recipe, JSON.stringify(config));
  const args = ['--import', 'tsx', CHILD, recipe, data, out, ...(resume ? ['resume'] : [])];
  return spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

async function ended(child: ChildProcess): Promise<{ code: number | null; text: string }> {
  let text = '';
  child.stderr?.on('data', (piece) => {
    text += piece;
  });
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, text })));
}

function isWriting(out: string): boolean {
  const folder = join(out, 'checkpoints');
  return existsSync(folder) && readdirSync(folder).some((name) => name.endsWith('.tmp'));
}

/** Waits for a moment to kill at: a random time after training began, or the next time that a checkpoint is being written. */
async function momentToKill(
  child: ChildProcess,
  out: string,
  random: Random,
  midWrite: boolean,
): Promise<void> {
  const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
  while (child.exitCode === null && !existsSync(join(out, 'run.lock'))) await sleep(5);
  if (!midWrite) {
    await sleep(random.uniform(0, 1500));
    return;
  }
  while (child.exitCode === null && !isWriting(out)) await new Promise((resolve) => setImmediate(resolve));
}

export interface KilledRun {
  /** How often the process was killed while it ran. */
  readonly kills: number;
  /** How often a temporary file of a checkpoint was left behind: killed within a write. */
  readonly midWrites: number;
}

/**
 * Trains with SIGKILL at so many moments, each time resumed, and lastly to the end. A run that ends before its kill
 * counts as not killed.
 */
export async function trainWithKills(
  config: TrainConfig,
  data: string,
  out: string,
  kills: number,
  random: Random,
): Promise<KilledRun> {
  let done = 0;
  let midWrites = 0;
  for (let attempt = 0; attempt < kills; attempt++) {
    const child = startChild(config, data, out, existsSync(join(out, 'config.yaml')));
    const end = ended(child);
    await momentToKill(child, out, random, attempt % 2 === 1);
    child.kill('SIGKILL');
    const { code, text } = await end;
    if (code === null) done++;
    else if (code !== 0) throw new Error(`the child failed: ${text}`);
    if (isWriting(out)) midWrites++;
  }
  const { code, text } = await ended(startChild(config, data, out, existsSync(join(out, 'config.yaml'))));
  if (code !== 0) throw new Error(`the last child failed: ${text}`);
  return { kills: done, midWrites };
}
