import { imagesWithin } from '../store/storeBytes.js';
import { trainingBytes } from './formulas.js';
import type { PlanSetting } from './settings.js';

/** What a laptop has: memory for this program, and free disk for a store. */
export interface Laptop {
  readonly memoryBytes: number;
  readonly diskBytes: number;
}

/** A common one: 16 GB of memory, of which a quarter belongs to others; 100 GB of free disk. */
export const LAPTOP: Laptop = { memoryBytes: 12e9, diskBytes: 100e9 };

/** How a setting fits a laptop. */
export interface LaptopPlan {
  /** Rows an update, at most the recipe's: the largest power of two (or the recipe's) that fits; 0 where none does. */
  readonly batchRows: number;
  readonly memoryBytes: number;
  /** Share of the pictures whose features fit the disk, by type. */
  readonly share: { readonly f32: number; readonly f16: number };
}

const SMALLEST_BATCH = 256;

/** @param reader bytes of rows that wait, as in `trainingBytes` */
export function laptopPlan(
  setting: PlanSetting,
  images: number,
  reader: number,
  laptop: Laptop = LAPTOP,
): LaptopPlan {
  const { channels, config } = setting;
  const { latents, k } = config;
  const bytesAt = (batchRows: number): number =>
    trainingBytes({ channels, latents, k, batchRows }, reader).total;
  const sizes = [config.batchRows];
  for (let rows = 2 ** Math.floor(Math.log2(config.batchRows)); rows >= SMALLEST_BATCH; rows /= 2)
    sizes.push(rows);
  const batchRows = sizes.find((rows) => bytesAt(rows) <= laptop.memoryBytes) ?? 0;
  const shareOf = (dtype: 'f32' | 'f16'): number =>
    imagesWithin(laptop.diskBytes, images, [setting], dtype) / images;
  return {
    batchRows,
    memoryBytes: bytesAt(batchRows === 0 ? SMALLEST_BATCH : batchRows),
    share: { f32: shareOf('f32'), f16: shareOf('f16') },
  };
}
