import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { Random } from '../../src/core/random.js';
import { resolveConfig } from '../../src/train/config/load.js';
import type { TrainConfig, TrainConfigInput } from '../../src/train/config/schema.js';

/** A new folder for a test's files; `remove` deletes it. */
export function scratchFolder(): { readonly path: string; readonly remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'fact-train-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** Colours of the classes of the tiny data set. */
const COLOURS = [
  [220, 40, 40],
  [40, 200, 60],
  [50, 60, 220],
  [210, 200, 50],
] as const;

/** Writes a data set of noisy 8 x 8 pictures, one colour a class: `train` and `val` folders. */
export async function writeTinyData(
  folder: string,
  options: { readonly classes?: number; readonly train?: number; readonly val?: number } = {},
): Promise<void> {
  const { classes = 3, train = 16, val = 6 } = options;
  for (const [split, count] of [
    ['train', train],
    ['val', val],
  ] as const) {
    for (let c = 0; c < classes; c++) {
      const place = join(folder, split, `class${c}`);
      mkdirSync(place, { recursive: true });
      for (let i = 0; i < count; i++) {
        const random = new Random(c, i, split === 'train' ? 0 : 1);
        const pixels = Uint8Array.from({ length: 8 * 8 * 3 }, (_, p) =>
          Math.max(0, Math.min(255, COLOURS[c][p % 3] + random.uniform(-40, 40))),
        );
        const png = await sharp(pixels, { raw: { width: 8, height: 8, channels: 3 } })
          .png()
          .toBuffer();
        writeFileSync(join(place, `${i}.png`), png);
      }
    }
  }
}

/** A recipe that trains in a second: a network of three convolutions on 8 x 8 pictures. */
export function tinyConfig(change: Partial<TrainConfigInput> = {}): TrainConfig {
  return resolveConfig({
    name: 'tiny',
    seed: 7,
    epochs: 3,
    model: { arch: 'resnet', options: { blocks: [1], width: 8, stem: 'cifar' } },
    data: { imageSize: [8, 8], batchSize: 8, augment: { crop: 'pad', padding: 1, flip: true } },
    loss: { name: 'uniformOffBce' },
    optimizer: { name: 'adam', rate: 0.01 },
    schedule: { name: 'cosine', interval: 'step', warmup: { epochs: 0.5 } },
    clip: { adaptive: 0.01 },
    log: { everySteps: 2, tensorboard: true },
    ...change,
  });
}
