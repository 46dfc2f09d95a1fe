/*
 * Features on disk: features-00000.safetensors, ... each with one tensor "features" [n, channels] float32, and
 * features.json, written last, which lists them with their SHA-256. Rows are read one by one from the files.
 */
import { closeSync, openSync, readFileSync, readSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { writeSafetensors } from '../../convert/safetensors.js';
import { writeFileAtomic } from '../../core/atomicFile.js';
import { FactError, messageOf } from '../../core/errors.js';
import { sha256, sha256File } from '../../core/hash.js';
import type { FeatureInfo, FeatureSink, FeatureSource } from './featureSource.js';
import { passOrder } from './memoryFeatures.js';

export const FEATURES_FILE = 'features.json';
const SHARD_BYTES = 2 ** 27;
const BYTES_PER_VALUE = 4;

const count = z.number().int().min(1);
const schema = z.strictObject({
  format: z.literal('fact-features'),
  version: z.literal(1),
  tap: z.string(),
  arch: z.string().nullable(),
  modelHash: z.string().nullable(),
  channels: count,
  rows: count,
  shards: z.array(z.strictObject({ file: z.string().regex(/^[\w.-]+$/), rows: count, sha256: z.string() })),
});
type Index = z.infer<typeof schema>;

function broken(path: string, what: string, cause?: unknown): FactError {
  return new FactError({
    code: 'E_SAE_FEATURES',
    message: `${path}: ${what}`,
    remedy: 'Give a folder that `fact sae features` wrote; if it is damaged, write it again.',
    cause,
  });
}

/** Writes features to a folder. The index appears only with `finish`: without it the folder is incomplete. */
export class FeatureFolderSink implements FeatureSink {
  private readonly shards: Index['shards'] = [];
  private readonly shardValues: number;
  private buffer: Float32Array;
  private used = 0;

  /** Throws FactError E_WRITE on the first write. An old index in the folder is removed. */
  constructor(
    private readonly folder: string,
    private readonly info: FeatureInfo,
    shardBytes = SHARD_BYTES,
  ) {
    rmSync(join(folder, FEATURES_FILE), { force: true });
    const rowBytes = info.channels * BYTES_PER_VALUE;
    this.shardValues = Math.max(1, Math.floor(shardBytes / rowBytes)) * info.channels;
    this.buffer = new Float32Array(this.shardValues);
  }

  async append(values: Float32Array): Promise<void> {
    for (let start = 0; start < values.length; ) {
      const piece = values.subarray(start, start + this.shardValues - this.used);
      this.buffer.set(piece, this.used);
      this.used += piece.length;
      start += piece.length;
      if (this.used === this.shardValues) await this.flush();
    }
  }

  private async flush(): Promise<void> {
    if (this.used === 0) return;
    const rows = this.used / this.info.channels;
    const file = `features-${String(this.shards.length).padStart(5, '0')}.safetensors`;
    const path = join(this.folder, file);
    const bytes = new Uint8Array(this.buffer.buffer, 0, this.used * BYTES_PER_VALUE);
    await writeSafetensors(path, [
      { name: 'features', dtype: 'float32', shape: [rows, this.info.channels], bytes },
    ]);
    this.shards.push({ file, rows, sha256: await sha256File(path) });
    this.used = 0;
  }

  async finish(): Promise<FeatureSource> {
    await this.flush();
    const rows = this.shards.reduce((sum, shard) => sum + shard.rows, 0);
    const { channels, tap, arch, modelHash } = this.info;
    const index: Index = {
      format: 'fact-features',
      version: 1,
      tap,
      arch,
      modelHash,
      channels,
      rows,
      shards: this.shards,
    };
    writeFileAtomic(join(this.folder, FEATURES_FILE), `${JSON.stringify(index, null, 2)}\n`);
    return openFeatures(this.folder);
  }
}

function readIndex(path: string): { index: Index; text: string } {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw broken(path, `cannot be read: ${messageOf(error)}`, error);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw broken(path, 'not JSON', error);
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw broken(path, `"${issue.path.join('.')}": ${issue.message}`);
  }
  return { index: parsed.data, text };
}

/** Place of the first value in a shard: its header's length is checked against the file's size. */
function dataStart(path: string, handle: number, rows: number, channels: number): number {
  const length = Buffer.alloc(8);
  const read = readSync(handle, length, 0, 8, 0);
  const expected = rows * channels * BYTES_PER_VALUE;
  const { size } = statSync(path);
  const start = size - expected;
  if (read < 8 || Number(length.readBigUInt64LE(0)) + 8 !== start) {
    throw broken(path, `${size} bytes do not hold ${rows} x ${channels} values`);
  }
  return start;
}

/** Opens a folder of features. Caller closes. Throws FactError E_SAE_FEATURES (missing, cut, not such a folder). */
export function openFeatures(folder: string): FeatureSource {
  const { index, text } = readIndex(join(folder, FEATURES_FILE));
  const { channels } = index;
  const files: { handle: number; first: number; start: number; path: string }[] = [];
  let rows = 0;
  const close = () => {
    for (const { handle } of files) closeSync(handle);
  };
  try {
    for (const shard of index.shards) {
      const path = join(folder, shard.file);
      let handle: number;
      try {
        handle = openSync(path, 'r');
      } catch (error) {
        throw broken(path, `cannot be read: ${messageOf(error)}`, error);
      }
      const file = { handle, first: rows, start: 0, path };
      files.push(file);
      file.start = dataStart(path, handle, shard.rows, channels);
      rows += shard.rows;
    }
    if (rows !== index.rows)
      throw broken(join(folder, FEATURES_FILE), `"rows" is ${index.rows}, shards hold ${rows}`);
  } catch (error) {
    close();
    throw error;
  }
  const rowBytes = channels * BYTES_PER_VALUE;
  const gather = (wanted: Uint32Array): Float32Array => {
    const result = new Float32Array(wanted.length * channels);
    const bytes = new Uint8Array(result.buffer);
    for (let i = 0; i < wanted.length; i++) {
      const row = wanted[i];
      const file = files.findLast((f) => f.first <= row);
      if (file === undefined || row >= rows) throw new RangeError(`row ${row} of ${rows}`);
      const position = file.start + (row - file.first) * rowBytes;
      const read = readSync(file.handle, bytes, i * rowBytes, rowBytes, position);
      if (read !== rowBytes) throw broken(file.path, `cut off at byte ${position + read}`);
    }
    return result;
  };
  return {
    channels,
    rows,
    tap: index.tap,
    arch: index.arch,
    modelHash: index.modelHash,
    fingerprint: sha256(text),
    batches: async function* ({ seed, pass, batchRows, start = 0 }) {
      const order = passOrder(rows, seed, pass);
      for (let from = start * batchRows; from < rows; from += batchRows)
        yield gather(order.subarray(from, from + batchRows));
    },
    close: async () => close(),
  };
}
