/*
 * One shard of a store: a safetensors file with `image` [n] I32 (number within the data set), `position` [n] I32 (number
 * within the image) and `features` [n, channels] F32 or F16, in this order, behind a header that is padded with blanks to
 * a fixed size: where a row lies follows from its number.
 */

export type StoreDtype = 'f32' | 'f16';

/** Length field and header. */
export const HEADER_BYTES = 512;
/** Image and position of a row. */
export const TAG_BYTES = 8;

export function valueBytes(dtype: StoreDtype): number {
  return dtype === 'f16' ? 2 : 4;
}

/** What a shard holds. */
export interface ShardShape {
  readonly rows: number;
  readonly channels: number;
  readonly dtype: StoreDtype;
}

/** Size of a shard's file. */
export function shardBytes({ rows, channels, dtype }: ShardShape): number {
  return HEADER_BYTES + rows * (TAG_BYTES + channels * valueBytes(dtype));
}

/** Place of the first feature in the file. */
export function featuresStart(rows: number): number {
  return HEADER_BYTES + rows * TAG_BYTES;
}

/** The first HEADER_BYTES of a shard. */
export function shardHeader({ rows, channels, dtype }: ShardShape): Buffer {
  const tags = 4 * rows;
  const end = 2 * tags + rows * channels * valueBytes(dtype);
  const json = JSON.stringify({
    image: { dtype: 'I32', shape: [rows], data_offsets: [0, tags] },
    position: { dtype: 'I32', shape: [rows], data_offsets: [tags, 2 * tags] },
    features: { dtype: dtype.toUpperCase(), shape: [rows, channels], data_offsets: [2 * tags, end] },
  });
  const header = Buffer.alloc(HEADER_BYTES, 0x20);
  header.writeBigUInt64LE(BigInt(HEADER_BYTES - 8), 0);
  header.write(json, 8, 'latin1');
  return header;
}
