/*
 * What a store is to hold, decided before the first image is read and equal in all processes that share the work: the
 * images, in units of one batch, and the buckets that each tap's rows are spread over.
 */
import { FactError } from '../../../core/errors.js';
import { sha256 } from '../../../core/hash.js';
import { Random } from '../../../core/random.js';
import type { ImageSource, Split } from '../../../data/imageSource.js';
import type { TappedModel } from '../../../explain/sae.js';
import { HOLD_OUT_SEED, holdOut } from '../features/holdOut.js';
import type { PositionChoice } from '../features/sampling.js';
import { type TapSize, tapSizes } from '../features/tapReader.js';
import type { StoreDtype } from './shardFile.js';
import { bucketCount, imagesWithin, SHARD_BYTES, storeBytes } from './storeBytes.js';

const IMAGE_STREAM = 0x13a;
/** A bucket lies on the disk twice while it becomes a shard: at most this share of a budget. */
const BUCKET_SHARE = 1 / 32;
const SMALLEST_SHARD = 2 ** 20;

/** Most bytes of a shard. */
function largestShard({ shardBytes, maxBytes }: StoreRequest): number {
  if (shardBytes !== undefined) return shardBytes;
  if (maxBytes === null) return SHARD_BYTES;
  return Math.min(SHARD_BYTES, Math.max(SMALLEST_SHARD, Math.floor(maxBytes * BUCKET_SHARE)));
}

export interface StoreRequest {
  readonly taps: readonly string[];
  readonly positions: PositionChoice;
  readonly dtype: StoreDtype;
  readonly seed: number;
  /** Name of the data set's part; null where it is not divided. */
  readonly split: Split | null;
  /** [height, width] */
  readonly imageSize: readonly [number, number];
  /** Images per batch: the unit of the work. */
  readonly imageBatch: number;
  /** Images per class that are set apart. */
  readonly holdOut: number;
  /** Most bytes that the store may take at any time; null: no limit. */
  readonly maxBytes: number | null;
  /** Most bytes of a shard. Default: SHARD_BYTES, or a 32nd of a small budget, so that it is used up. */
  readonly shardBytes?: number;
}

export interface PlannedTap extends TapSize {
  readonly folder: string;
  readonly buckets: number;
}

export interface StorePlan {
  readonly request: StoreRequest;
  readonly network: { readonly arch: string; readonly weightsHash: string | null };
  readonly data: { readonly split: Split | null; readonly images: number; readonly keysHash: string };
  /** Numbers of the images within the data set, rising. */
  readonly images: Uint32Array;
  /** Images that are not held out; more than `images` where the budget binds. */
  readonly wanted: number;
  readonly heldOutKeys: readonly string[];
  readonly taps: readonly PlannedTap[];
  /** Batches of images. */
  readonly units: number;
  readonly bytes: number;
  readonly peakBytes: number;
  /** What the user asked for, as plain JSON: a finished store of another job is not this one. */
  readonly job: Readonly<Record<string, unknown>>;
  /** What the bytes of the store depend on besides, though not their sense. */
  readonly division: Readonly<Record<string, unknown>>;
}

/** Names of the taps' folders, fit for every file system. */
function folderOf(tap: string, place: number): string {
  return /^\w[\w.-]*$/.test(tap) ? tap : `tap-${place}`;
}

/** Images that a budget leaves room for, drawn uniformly. Throws FactError E_STORE_BUDGET. */
function drawImages(kept: Uint32Array, taps: readonly TapSize[], request: StoreRequest): Uint32Array {
  const { maxBytes, dtype, seed } = request;
  if (maxBytes === null) return kept;
  const largest = largestShard(request);
  const count = imagesWithin(maxBytes, kept.length, taps, dtype, largest);
  if (count === 0) {
    const one = taps.map(({ kept: rows, channels }) => ({ rows, channels }));
    throw new FactError({
      code: 'E_STORE_BUDGET',
      message: `a budget of ${maxBytes} bytes holds no image: one takes ${storeBytes(one, dtype, largest).peakBytes}`,
      remedy: 'Raise --max-gb, or keep fewer --positions or taps.',
      exitCode: 2,
    });
  }
  if (count === kept.length) return kept;
  const order = new Random(seed, IMAGE_STREAM).permutation(kept.length).subarray(0, count);
  return order.sort().map((i) => kept[i]);
}

/** Decides what a store holds. Throws FactError E_TAP_UNKNOWN, E_STORE_TAP (one twice), E_STORE_BUDGET. */
export function planStore(model: TappedModel, source: ImageSource, request: StoreRequest): StorePlan {
  const { dtype, positions, seed } = request;
  const largest = largestShard(request);
  const sizes = tapSizes(
    model,
    request.taps.map((tap) => ({ tap, positions })),
    request.imageSize,
  );
  const names = sizes.map(({ tap }) => tap);
  const twice = names.find((name, i) => names.indexOf(name) < i);
  if (twice !== undefined) {
    throw new FactError({
      code: 'E_STORE_TAP',
      message: `tap ${twice} is given twice`,
      remedy: 'Give each tap once.',
      exitCode: 2,
    });
  }
  const { kept, heldOut } = holdOut(source, request.holdOut);
  const images = drawImages(kept, sizes, request);
  const amounts = sizes.map(({ kept: rows, channels }) => ({ rows: rows * images.length, channels }));
  const taps = sizes.map((size, i) => ({
    ...size,
    folder: folderOf(size.tap, i),
    buckets: bucketCount(amounts[i], dtype, largest),
  }));
  const { arch, weightsHash } = model.spec;
  const network = { arch, weightsHash };
  const { split, imageSize, maxBytes, imageBatch } = request;
  const data = { split, images: source.size, keysHash: sha256(source.table.keys.join('\n')) };
  return {
    request,
    network,
    data,
    images,
    wanted: kept.length,
    heldOutKeys: Array.from(heldOut, (sample) => source.key(sample)),
    taps,
    units: Math.ceil(images.length / request.imageBatch),
    ...storeBytes(amounts, dtype, largest),
    job: {
      network,
      data,
      dtype,
      imageSize: [...imageSize],
      seed,
      maxBytes,
      holdOut: { perClass: request.holdOut, seed: HOLD_OUT_SEED },
      positions,
      taps: names,
    },
    division: { imageBatch, shardBytes: largest },
  };
}
