import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { silentProgress } from '../../../../src/core/progress.js';
import { finishShards } from '../../../../src/train/sae/store/finishStore.js';
import type { StoreDtype } from '../../../../src/train/sae/store/shardFile.js';
import { Spill } from '../../../../src/train/sae/store/spill.js';
import {
  bucketCount,
  rowBytes,
  SHARD_BYTES,
  storeBytes,
} from '../../../../src/train/sae/store/storeBytes.js';
import { STORE_FILE, type StoreIndex } from '../../../../src/train/sae/store/storeIndex.js';
import type { StorePlan } from '../../../../src/train/sae/store/storePlan.js';
import { WorkFolder } from '../../../../src/train/sae/store/workFolder.js';
import { storeRows } from '../../../../src/train/sae/store/writeImages.js';

export interface SyntheticOptions {
  readonly images: number;
  /** Rows of an image. */
  readonly kept: number;
  readonly channels: number;
  readonly dtype?: StoreDtype;
  readonly shardBytes?: number;
  readonly spillMemory?: number;
  readonly seed?: number;
  /** Values of an image's rows, [kept, channels]. Default: the number of the row in every channel. */
  readonly values?: (image: number, target: Float32Array) => void;
}

/** What the writer needs to know of a store without a network. */
export function syntheticPlan(options: SyntheticOptions): StorePlan {
  const { images, kept, channels, dtype = 'f32', shardBytes = SHARD_BYTES, seed = 1 } = options;
  const rows = { rows: images * kept, channels };
  return {
    request: {
      taps: ['layer1'],
      positions: 'all',
      dtype,
      seed,
      split: null,
      imageSize: [8, 8],
      imageBatch: 64,
      holdOut: 0,
      maxBytes: null,
    },
    network: { arch: 'synthetic', weightsHash: null },
    data: { split: null, images, keysHash: '0'.repeat(64) },
    images: Uint32Array.from({ length: images }, (_, i) => i),
    wanted: images,
    heldOutKeys: [],
    taps: [
      {
        tap: 'layer1',
        folder: 'layer1',
        channels,
        positions: kept,
        kept,
        buckets: bucketCount(rows, dtype, shardBytes),
      },
    ],
    units: Math.ceil(images / 64),
    ...storeBytes([rows], dtype, shardBytes),
    job: {},
    division: {},
  };
}

/** Writes a store of made-up rows with the real writer, both halves. */
export async function writeSynthetic(out: string, options: SyntheticOptions): Promise<StoreIndex> {
  const plan = syntheticPlan(options);
  const { images, kept, channels } = options;
  const fill =
    options.values ??
    ((image, target) => {
      for (let i = 0; i < target.length; i++) target[i] = image * kept + Math.floor(i / channels);
    });
  const work = new WorkFolder(out, plan);
  work.create();
  const share = { index: 1, count: 1 };
  const [{ buckets }] = plan.taps;
  const spill = new Spill(
    work.folderOf(share),
    [{ buckets, rowBytes: rowBytes(channels, plan.request.dtype) }],
    [new Array<number>(buckets).fill(0)],
    options.spillMemory,
  );
  const positions = Int32Array.from({ length: kept }, (_, i) => i);
  for (let image = 0; image < images; image++) {
    const values = new Float32Array(kept * channels);
    fill(image, values);
    const batch = { samples: Int32Array.of(image), keys: [`image ${image}`], size: 1 };
    await storeRows(spill, plan, 0, batch, { values, positions });
  }
  await spill.settle();
  work.save(share, { done: [], lengths: spill.lengths, broken: [] });
  const taps = await finishShards(out, plan, work, silentProgress);
  const index: StoreIndex = {
    format: 'fact-feature-store',
    version: 1,
    dtype: plan.request.dtype,
    network: plan.network,
    data: plan.data,
    imageSize: [8, 8],
    seed: plan.request.seed,
    images,
    maxBytes: null,
    holdOut: { perClass: 0, seed: 42, keys: [] },
    broken: [],
    taps: taps ?? [],
  };
  writeFileSync(join(out, STORE_FILE), JSON.stringify(index, null, 2));
  work.remove();
  return index;
}
