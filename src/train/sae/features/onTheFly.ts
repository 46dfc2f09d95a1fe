/*
 * Features without a store: every pass runs the images through the network again. Images come in a new order each pass;
 * a block of them is read at all taps at once, the block's rows are shuffled, and cut into batches. In memory are one
 * block and one batch for each tap, however many images there are. A pass that begins in its middle computes from the
 * block on in which its first batch begins. Broken images are replaced by others, so that every pass has as many rows.
 */

import { sha256 } from '../../../core/hash.js';
import { Random } from '../../../core/random.js';
import { type Batch, BatchLoader } from '../../../data/batchLoader.js';
import { brokenLimitOf } from '../../../data/brokenLimit.js';
import type { ImageSource } from '../../../data/imageSource.js';
import { subset } from '../../../data/subset.js';
import type { TappedModel } from '../../../explain/sae.js';
import type { FeatureSource, PassOrder } from './featureSource.js';
import { Rebatcher, type ShuffledRows } from './rebatcher.js';
import { TapReader, type TapRequest } from './tapReader.js';

const SHUFFLE_STREAM = 0xf17;

export interface OnTheFlyOptions {
  /** Of the order of images and rows, and of the draw of positions. */
  readonly seed: number;
  /** Images per batch of the network. */
  readonly imageBatch: number;
  /** Images whose rows are shuffled together; rounded up to whole batches. */
  readonly blockImages: number;
  readonly workers: number;
  /** Pictures of the source to use; default: all. */
  readonly samples?: Uint32Array;
  readonly signal?: AbortSignal;
}

/** What images give at several taps, pass by pass. Caller closes; the image source stays open. */
export class OnTheFly {
  private readonly loader: BatchLoader;
  private readonly reader: TapReader;
  private readonly samples: Uint32Array;
  private readonly imagesPerBlock: number;
  private readonly info: { readonly arch: string; readonly modelHash: string | null };
  private readonly fingerprints: readonly string[];

  /** Throws FactError E_TAP_UNKNOWN, E_DATA_EMPTY. */
  constructor(
    model: TappedModel,
    images: ImageSource,
    requests: readonly TapRequest[],
    private readonly options: OnTheFlyOptions,
  ) {
    const { seed, workers, samples } = options;
    const { arch, weightsHash, preprocessing } = model.spec;
    this.samples = samples ?? Uint32Array.from({ length: images.size }, (_, i) => i);
    const imageSize: [number, number] = [...preprocessing.crop];
    const batchSize = Math.min(options.imageBatch, this.samples.length);
    this.loader = new BatchLoader(subset(images, this.samples), {
      batchSize,
      seed,
      imageSize,
      augmentation: { kind: 'evaluation', resize: preprocessing.resize },
      shuffle: true,
      workers,
      // Of the whole data set: all that are broken may lie in one part of it.
      brokenLimit: brokenLimitOf(images.size),
    });
    this.imagesPerBlock = batchSize * Math.ceil(options.blockImages / batchSize);
    this.info = { arch, modelHash: weightsHash };
    this.reader = new TapReader(model, requests, { imageSize, batchSize, seed });
    const keys = Array.from(this.samples, (sample) => images.key(sample));
    const content = sha256(
      JSON.stringify([keys, weightsHash, imageSize, batchSize, this.imagesPerBlock, seed]),
    );
    this.fingerprints = requests.map((request) => sha256(JSON.stringify([content, request])));
  }

  /** Images of a pass. */
  get images(): number {
    return this.samples.length;
  }

  /** Pictures that were found broken, and replaced. */
  get broken(): BatchLoader['broken'] {
    return this.loader.broken;
  }

  /** Bytes of the rows of a block, all taps together. */
  get blockBytes(): number {
    const images = Math.min(this.imagesPerBlock, this.images);
    return this.reader.taps.reduce((sum, { kept, channels }) => sum + images * kept * channels * 4, 0);
  }

  /** Number of the block in which row `row` of a pass lies, at tap number `index`. */
  blockOf(index: number, row: number): number {
    return Math.floor(row / this.rowsBefore(index, 1));
  }

  /** Rows of a pass before a block, at tap number `index`. */
  rowsBefore(index: number, block: number): number {
    return block * this.imagesPerBlock * this.reader.taps[index].kept;
  }

  /**
   * The blocks of a pass from number `first` on: shuffled rows at each tap, in the order of the requests.
   * Throws the loader's errors and the reason of an aborted signal.
   */
  async *blocks(pass: number, first = 0): AsyncGenerator<readonly ShuffledRows[], void, undefined> {
    const { loader, reader, imagesPerBlock, options, images } = this;
    const perBatch = Math.min(options.imageBatch, images);
    let block = first;
    let imagesLeft = 0;
    let values: Float32Array[] = [];
    let filled: number[] = [];
    const startBatch = (first * imagesPerBlock) / perBatch;
    for await (const batch of loader.epoch(pass, startBatch)) {
      options.signal?.throwIfAborted();
      if (imagesLeft === 0) {
        imagesLeft = Math.min(imagesPerBlock, images - block * imagesPerBlock);
        values = reader.taps.map(({ kept, channels }) => new Float32Array(imagesLeft * kept * channels));
        filled = values.map(() => 0);
      }
      const rows = await reader.read(this.numbered(batch));
      rows.forEach((tap, i) => {
        values[i].set(tap.values, filled[i]);
        filled[i] += tap.values.length;
      });
      imagesLeft -= batch.size;
      if (imagesLeft > 0) continue;
      yield values.map((own, i) => {
        const random = new Random(options.seed, SHUFFLE_STREAM, pass, block);
        return { values: own, order: random.permutation(own.length / reader.taps[i].channels) };
      });
      block++;
    }
  }

  /** The batch with the pictures' numbers in the whole source: the draw of positions goes by them. */
  private numbered(batch: Batch): Batch {
    return { ...batch, samples: batch.samples.map((sample) => this.samples[sample]) };
  }

  /** The features at tap number `index` as a source of their own, which shares the network's graph. */
  source(index: number): FeatureSource {
    const { tap, channels, kept } = this.reader.taps[index];
    return {
      ...this.info,
      tap,
      channels,
      rows: this.images * kept,
      fingerprint: this.fingerprints[index],
      batches: (order) => this.batches(index, order),
      close: async () => {},
    };
  }

  private async *batches(index: number, order: PassOrder): AsyncGenerator<Float32Array, void, undefined> {
    const { pass, batchRows, start = 0, seed } = order;
    if (seed !== this.options.seed) throw new RangeError(`seed ${seed}, opened with ${this.options.seed}`);
    const block = this.blockOf(index, start * batchRows);
    const skip = start * batchRows - this.rowsBefore(index, block);
    const cut = new Rebatcher(this.reader.taps[index].channels, batchRows, skip);
    for await (const rows of this.blocks(pass, block)) yield* cut.add(rows[index]);
    const rest = cut.rest();
    if (rest !== null) yield rest;
  }

  async close(): Promise<void> {
    this.reader.dispose();
    await this.loader.close();
  }
}
