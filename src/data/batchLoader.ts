import { FactError, Random } from '../core/index.js';
import { type Augmentation, checkAugmentation } from './augment.js';
import type { BrokenImage, BrokenPolicy } from './batchMaker.js';
import { brokenLimitOf, refuseTooManyBroken } from './brokenLimit.js';
import { type ImageSource, openImageSource, type Split } from './imageSource.js';
import { createPixelMemory } from './pixelCache.js';
import { type BatchFactory, SameThread, WorkerPool } from './workerPool.js';

export interface LoaderOptions {
  readonly batchSize: number;
  /** Seed of order and augmentation. */
  readonly seed: number;
  /** [height, width] of the batches. */
  readonly imageSize: readonly [number, number];
  /** Default: evaluation (scale, centre crop). */
  readonly augmentation?: Augmentation;
  /** New order each epoch. Default: false, the order of the data set. */
  readonly shuffle?: boolean;
  /** Leave out a last batch that is not full. Default: false. */
  readonly dropLast?: boolean;
  /** Decoding threads; 0 = in the calling thread. Default: 1. Changes no number. */
  readonly workers?: number;
  /** Batches made ahead. Default: workers + 2. */
  readonly prefetch?: number;
  /**
   * Broken pictures: `replace` puts another one, drawn from (seed, epoch, sample), in their place (batches keep their
   * size); `drop` leaves them out. Default: replace when shuffling, else drop.
   */
  readonly broken?: BrokenPolicy;
  /**
   * Most bytes of decoded pictures kept for the next epochs, used only where all of them would fit at the image size.
   * Default: 512 MiB. 0 = none. Changes no number.
   */
  readonly cacheBytes?: number;
  /** Number of different broken pictures that are borne. Default: 1 % of the data set, at least 10. */
  readonly brokenLimit?: number;
}

export interface OpenLoaderOptions extends LoaderOptions {
  readonly path: string;
  readonly split?: Split;
  /** Number of classes the data set must have. */
  readonly classes?: number;
}

export interface Batch {
  /** [size, height, width, 3] in [0, 1], owned by the caller. */
  readonly images: Float32Array<ArrayBuffer>;
  readonly labels: Int32Array;
  /** Numbers of the pictures within the source. */
  readonly samples: Int32Array;
  readonly keys: string[];
  readonly size: number;
  /** Number of the batch within its epoch, from 0. */
  readonly index: number;
  /** How long the caller waited for it. */
  readonly waitMs: number;
}

const DEFAULT_CACHE_BYTES = 2 ** 29;
/** The cache counts its bytes in 32 bits. */
const MAX_CACHE_BYTES = 2 ** 31 - 1;
const ORDER_STREAM = 0x04d;

/** Order of the pictures in an epoch: a function of (seed, epoch) and their number only. */
export function epochOrder(size: number, seed: number, epoch: number, shuffle: boolean): Uint32Array {
  return shuffle
    ? new Random(seed, ORDER_STREAM, epoch).permutation(size)
    : Uint32Array.from({ length: size }, (_, i) => i);
}

function checkCount(name: string, value: number, minimum: number): void {
  if (Number.isInteger(value) && value >= minimum) return;
  throw new FactError({
    code: 'E_LOADER_OPTION',
    message: `data loader: ${name} is ${value}, expected a whole number from ${minimum}`,
    remedy: `Give ${name} such a number.`,
    exitCode: 2,
  });
}

/**
 * Batches of a labelled data set, decoded and augmented in worker threads ahead of their use. Order and pixels are a
 * function of (seed, epoch, sample number): equal for any number of workers, and from any batch on that an epoch is
 * resumed at. Close it: it holds threads.
 */
export class BatchLoader {
  readonly batchesPerEpoch: number;
  /** Pictures that could not be read so far, each once, in the order met. */
  readonly broken: BrokenImage[] = [];
  /** Sum of the time that batches were waited for. */
  totalWaitMs = 0;
  private readonly factory: BatchFactory;
  private readonly brokenLimit: number;
  private readonly prefetch: number;
  private readonly known = new Set<number>();

  /** Opens a data set and a loader on it. Throws FactError as `openImageSource` and the constructor do. */
  static async open(options: OpenLoaderOptions): Promise<BatchLoader> {
    const { path, split, classes, ...rest } = options;
    return new BatchLoader(await openImageSource(path, { split, classes }), rest);
  }

  /** Throws FactError E_LOADER_OPTION, E_AUGMENTATION, E_DATA_EMPTY (fewer pictures than one batch with dropLast). */
  constructor(
    readonly source: ImageSource,
    private readonly options: LoaderOptions,
  ) {
    const { batchSize, imageSize, workers = 1, shuffle = false, dropLast = false } = options;
    const augmentation = options.augmentation ?? { kind: 'evaluation' };
    checkCount('batchSize', batchSize, 1);
    checkCount('workers', workers, 0);
    checkCount('imageSize', Math.min(...imageSize), 1);
    checkCount('prefetch', options.prefetch ?? 1, 1);
    checkCount('seed', options.seed, 0);
    checkAugmentation(augmentation);
    this.batchesPerEpoch = (dropLast ? Math.floor : Math.ceil)(source.size / batchSize);
    if (this.batchesPerEpoch === 0) {
      throw new FactError({
        code: 'E_DATA_EMPTY',
        message: `the data set has ${source.size} pictures, less than one batch of ${batchSize}`,
        remedy: 'Use a smaller batch size.',
      });
    }
    this.prefetch = options.prefetch ?? workers + 2;
    this.brokenLimit = options.brokenLimit ?? brokenLimitOf(source.size);
    const cacheBytes = options.cacheBytes ?? DEFAULT_CACHE_BYTES;
    checkCount('cacheBytes', cacheBytes, 0);
    const neededBytes = source.size * imageSize[0] * imageSize[1] * 3;
    const recipe = {
      table: source.table,
      seed: options.seed,
      imageSize,
      augmentation,
      broken: options.broken ?? (shuffle ? 'replace' : 'drop'),
      cache:
        neededBytes <= cacheBytes
          ? createPixelMemory(source.size, Math.min(cacheBytes, MAX_CACHE_BYTES))
          : null,
    } as const;
    this.factory = workers === 0 ? new SameThread(recipe) : new WorkerPool(recipe, workers);
  }

  get size(): number {
    return this.source.size;
  }

  get classNames(): readonly string[] {
    return this.source.classNames;
  }

  /**
   * The batches of an epoch from number `startBatch` on. A batch whose pictures are all broken and dropped is left out.
   * Throws FactError E_DATA_TOO_MANY_BROKEN, E_WORKER_CRASHED.
   */
  async *epoch(epoch: number, startBatch = 0): AsyncGenerator<Batch, void, undefined> {
    checkCount('epoch', epoch, 0);
    checkCount('startBatch', startBatch, 0);
    const { batchSize, seed, shuffle = false } = this.options;
    const order = epochOrder(this.size, seed, epoch, shuffle);
    const request = (index: number) => {
      const made = this.factory.make({
        epoch,
        samples: order.slice(index * batchSize, (index + 1) * batchSize),
      });
      made.catch(() => {}); // Awaited below; an epoch that is left early must not count as unhandled.
      return made;
    };
    const ahead = [];
    for (let index = startBatch; index < this.batchesPerEpoch; index++) {
      while (ahead.length <= this.prefetch && index + ahead.length < this.batchesPerEpoch) {
        ahead.push(request(index + ahead.length));
      }
      const start = performance.now();
      const made = await (ahead.shift() ?? request(index));
      const waitMs = performance.now() - start;
      this.totalWaitMs += waitMs;
      this.note(made.broken);
      if (made.samples.length === 0) continue;
      yield {
        images: made.images,
        labels: Int32Array.from(made.samples, (i) => this.source.label(i)),
        samples: Int32Array.from(made.samples),
        keys: Array.from(made.samples, (i) => this.source.key(i)),
        size: made.samples.length,
        index,
        waitMs,
      };
    }
  }

  /** Counts broken pictures. Throws FactError E_DATA_TOO_MANY_BROKEN above the limit. */
  private note(broken: readonly BrokenImage[]): void {
    for (const image of broken) {
      if (this.known.has(image.sample)) continue;
      this.known.add(image.sample);
      this.broken.push(image);
    }
    refuseTooManyBroken(
      this.broken.map(({ message }) => message),
      this.brokenLimit,
    );
  }

  /** Ends the worker threads and closes the files. */
  async close(): Promise<void> {
    await this.factory.close();
    this.source.close();
  }
}
