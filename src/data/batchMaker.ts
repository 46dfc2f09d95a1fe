import { FactError, messageOf, Random } from '../core/index.js';
import { type Augmentation, augment } from './augment.js';
import { configureSharp, type DecodedImage, decodeImage } from './decode.js';
import { toUnitRange } from './evalTransform.js';
import { ImageReader, type ImageTable, imageName } from './imageTable.js';
import { PixelCache, type PixelMemory } from './pixelCache.js';

/** What becomes of a picture that cannot be read: another one takes its place, or its place is closed. */
export type BrokenPolicy = 'replace' | 'drop';

/** All that a batch depends on besides (epoch, sample numbers); plain data, handed to each worker once. */
export interface BatchRecipe {
  readonly table: ImageTable;
  readonly seed: number;
  /** [height, width] */
  readonly imageSize: readonly [number, number];
  readonly augmentation: Augmentation;
  readonly broken: BrokenPolicy;
  /** Where decoded pictures are kept between epochs; null = nowhere. */
  readonly cache: PixelMemory | null;
}

export interface BatchTask {
  readonly epoch: number;
  /** Numbers of the pictures wanted, in order. */
  readonly samples: Uint32Array;
}

export interface BrokenImage {
  readonly sample: number;
  readonly name: string;
  readonly code: string;
  readonly message: string;
}

export interface MadeBatch {
  /** [samples.length, height, width, 3] in [0, 1] */
  readonly images: Float32Array<ArrayBuffer>;
  /** Numbers of the pictures in the batch: those wanted, but for broken ones. */
  readonly samples: Uint32Array;
  readonly broken: readonly BrokenImage[];
}

/** Pictures decoded at the same time by one worker; more only queue up in libuv's pool. */
const IN_FLIGHT = 3;

/** Pictures tried in place of a broken one before giving up. */
const REPLACEMENT_ATTEMPTS = 20;

/** First keys of the random streams, so that none of them coincide. */
const AUGMENT_STREAM = 0xa06;
const REPLACE_STREAM = 0x5ec;

/**
 * Makes batches: reads, decodes, augments. The result is a function of the recipe and the task alone: each sample draws
 * from its own random stream (seed, epoch, sample number), a broken one is replaced by a draw from such a stream.
 */
export class BatchMaker {
  private readonly reader: ImageReader;
  private readonly cache: PixelCache | null;

  constructor(private readonly recipe: BatchRecipe) {
    this.reader = new ImageReader(recipe.table);
    this.cache = recipe.cache === null ? null : new PixelCache(recipe.cache);
    configureSharp();
  }

  /** Throws FactError E_DATA_TOO_MANY_BROKEN where no readable replacement is found. */
  async make(task: BatchTask): Promise<MadeBatch> {
    const { imageSize, table } = this.recipe;
    const values = imageSize[0] * imageSize[1] * 3;
    const pixels: (Uint8Array | null)[] = new Array(task.samples.length).fill(null);
    const samples = task.samples.slice();
    const broken: BrokenImage[] = [];
    const attempt = async (sample: number, slot: number): Promise<boolean> => {
      try {
        pixels[slot] = await this.pixels(task.epoch, sample);
        samples[slot] = sample;
        return true;
      } catch (error) {
        if (!(error instanceof FactError)) throw error;
        broken.push({
          sample,
          name: imageName(table, sample),
          code: error.code,
          message: messageOf(error),
        });
        return false;
      }
    };
    const fill = async (slot: number): Promise<void> => {
      const wanted = task.samples[slot];
      if ((await attempt(wanted, slot)) || this.recipe.broken === 'drop') return;
      const random = new Random(this.recipe.seed, REPLACE_STREAM, task.epoch, wanted);
      for (let i = 0; i < REPLACEMENT_ATTEMPTS; i++) {
        if (await attempt(random.integer(table.labels.length), slot)) return;
      }
      throw new FactError({
        code: 'E_DATA_TOO_MANY_BROKEN',
        message: `${imageName(table, wanted)} and ${REPLACEMENT_ATTEMPTS} pictures drawn in its place are broken`,
        remedy: 'Check the data set: fetch it again or remove the damaged files.',
      });
    };
    let next = 0;
    const lane = async (): Promise<void> => {
      while (next < samples.length) await fill(next++);
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, lane));

    const kept = pixels.flatMap((p, slot) => (p === null ? [] : [slot]));
    const images = new Float32Array(kept.length * values);
    kept.forEach((slot, row) => {
      toUnitRange(pixels[slot] ?? new Uint8Array(), images, row * values);
    });
    broken.sort((a, b) => a.sample - b.sample);
    return { images, samples: Uint32Array.from(kept, (slot) => samples[slot]), broken };
  }

  private async pixels(epoch: number, sample: number): Promise<Uint8Array> {
    const { seed, imageSize, augmentation } = this.recipe;
    const image = this.cache?.get(sample) ?? (await this.decode(sample));
    return augment(image, imageSize, augmentation, new Random(seed, AUGMENT_STREAM, epoch, sample));
  }

  private async decode(sample: number): Promise<DecodedImage> {
    const image = await decodeImage(this.reader.read(sample), imageName(this.recipe.table, sample));
    this.cache?.put(sample, image);
    return image;
  }

  close(): void {
    this.reader.close();
  }
}
