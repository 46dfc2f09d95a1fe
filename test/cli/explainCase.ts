import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import sharp from 'sharp';
import { afterAll, beforeAll, vi } from 'vitest';
import { startEngine } from '../../src/engine/start.js';
import { saveSae } from '../../src/explain/sae.js';
import { testEngine } from '../engineName.js';
import { randomImage, randomSae, smallModel } from '../explain/fixtures.js';

export interface Outcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs one verb as the command line would, in this process. */
export async function runVerbOf(
  register: (program: Command) => void,
  ...argv: readonly string[]
): Promise<Outcome> {
  let stdout = '';
  let stderr = '';
  const spies = [
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
      stdout += String(text);
      return true;
    }),
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
      stderr += String(text);
      return true;
    }),
  ];
  process.exitCode = undefined;
  try {
    const program = new Command('fact').exitOverride();
    register(program);
    await program.parseAsync(['node', 'fact', ...argv, '--engine', testEngine(), '--threads', '1']);
    return { status: Number(process.exitCode ?? 0), stdout, stderr };
  } finally {
    for (const spy of spies) spy.mockRestore();
    process.exitCode = undefined;
  }
}

export interface ExplainCase {
  readonly root: string;
  readonly model: string;
  readonly photos: string;
}

/** A folder with a small random network, two autoencoders in it, and photographs in class folders. */
export function useExplainCase(): ExplainCase {
  const root = mkdtempSync(join(tmpdir(), 'fact-cli-'));
  const made = { root, model: join(root, 'model'), photos: join(root, 'photos') };
  beforeAll(async () => {
    await startEngine({ engine: testEngine(), threads: 1 });
    const model = smallModel({
      blocks: [1, 1],
      inputSize: 16,
      preprocessing: { resize: 16, crop: [16, 16] },
    });
    await model.save(made.model);
    for (const [tap, latents] of [
      ['layer1', 24],
      ['layer2', 64],
    ] as const) {
      const sae = randomSae(model, tap, latents, 3);
      await saveSae(join(made.model, 'saes', tap), sae);
      sae.dispose();
    }
    model.dispose();
    for (const [i, name] of ['tabby', 'school bus', 'elsewhere'].entries()) {
      mkdirSync(join(made.photos, name), { recursive: true });
      const { pixels, width, height } = randomImage(i, null, 48);
      await sharp(pixels, { raw: { width, height, channels: 3 } })
        .png()
        .toFile(join(made.photos, name, `photo ${i}.png`));
    }
  });
  afterAll(() => rmSync(root, { recursive: true, force: true }));
  return made;
}

/** Writes a file that claims to be a picture and is none. */
export function writeBroken(path: string): string {
  writeFileSync(path, Buffer.from([0xff, 0xd8, 0xff, 0xe0, 1, 2, 3]));
  return path;
}
