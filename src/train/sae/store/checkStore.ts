import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../../../core/errors.js';
import { type Progress, silentProgress } from '../../../core/progress.js';
import { BLOCK_BYTES, BlockSums, firstDifferentBlock } from './blockSums.js';
import { damaged } from './storeErrors.js';
import { readStoreIndex, type StoreIndex, type StoreShard } from './storeIndex.js';
import { openStore } from './storeReader.js';

/** Compares one shard with what the index says. Throws FactError E_STORE_DAMAGED, which names the first wrong block. */
async function checkShard(path: string, shard: StoreShard): Promise<void> {
  const hash = createHash('sha256');
  const blocks = new BlockSums();
  try {
    for await (const piece of createReadStream(path, { highWaterMark: 2 ** 20 })) {
      hash.update(piece);
      blocks.add(piece);
    }
  } catch (error) {
    throw damaged(path, null, `cannot be read: ${messageOf(error)}`, error);
  }
  const sha256 = hash.digest('hex');
  if (sha256 === shard.sha256) return;
  const byte = firstDifferentBlock(blocks.finish(), shard.blocks);
  const where = byte === null ? '' : `the ${BLOCK_BYTES} bytes from here on were changed; `;
  throw damaged(path, byte, `${where}SHA-256 is ${sha256}, expected ${shard.sha256}`);
}

/**
 * Reads a store through and compares every shard with its SHA-256. Throws FactError E_STORE_MISSING, E_STORE_VERSION,
 * E_STORE_DAMAGED, the signal's reason.
 */
export async function checkStore(
  folder: string,
  options: { readonly progress?: (index: StoreIndex) => Progress; readonly signal?: AbortSignal } = {},
): Promise<StoreIndex> {
  const { index } = readStoreIndex(folder);
  const progress = options.progress?.(index) ?? silentProgress;
  let done = 0;
  try {
    for (const tap of index.taps) {
      await openStore(folder, { tap: tap.tap }).close();
      for (const shard of tap.shards) {
        options.signal?.throwIfAborted();
        await checkShard(join(folder, tap.folder, shard.file), shard);
        progress.update(++done);
      }
    }
  } finally {
    progress.stop();
  }
  return index;
}
