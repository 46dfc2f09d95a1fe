import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { writeFileAtomic } from '../../core/atomicFile.js';
import { FactError, messageOf, systemCodeOf } from '../../core/errors.js';

/** Version of the file's layout; readers refuse a higher one. */
export const CHECKPOINT_VERSION = 1;
const MAX_HEADER_BYTES = 100_000_000;

/** One stored tensor, in tfjs layout. */
export interface StoredTensor {
  readonly shape: readonly number[];
  readonly values: Float32Array | Int32Array;
}

/** What a checkpoint file holds: plain JSON and tensors by name. */
export interface CheckpointContent {
  readonly state: Readonly<Record<string, unknown>>;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
}

interface TensorEntry {
  readonly dtype: 'F32' | 'I32';
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

function bytesOf(values: Float32Array | Int32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

function bad(path: string, what: string, cause?: unknown): FactError {
  return new FactError({
    code: 'E_CHECKPOINT_BROKEN',
    message: `${path}: ${what}`,
    remedy: 'Use another checkpoint of the run (checkpoints/last or checkpoints/best), or train again.',
    cause,
  });
}

function digest(
  state: string,
  entries: Readonly<Record<string, TensorEntry>>,
  data: readonly Uint8Array[],
): string {
  // Piece by piece: a state can be as large as the memory that is left.
  const hash = createHash('sha256').update(`${state}\n${JSON.stringify(entries)}\n`);
  for (const bytes of data) hash.update(bytes);
  return hash.digest('hex');
}

/**
 * Writes a checkpoint: a safetensors file whose metadata hold the format version, the state as JSON and a SHA-256 over
 * both and the data. Atomic: a reader sees the previous file or this one. Throws FactError E_WRITE.
 */
export function writeCheckpointFile(path: string, content: CheckpointContent): void {
  const entries: Record<string, TensorEntry> = {};
  const data: Uint8Array[] = [];
  let offset = 0;
  for (const [name, { shape, values }] of content.tensors) {
    const bytes = bytesOf(values);
    entries[name] = {
      dtype: values instanceof Float32Array ? 'F32' : 'I32',
      shape,
      data_offsets: [offset, offset + bytes.length],
    };
    data.push(bytes);
    offset += bytes.length;
  }
  const state = JSON.stringify(content.state);
  const metadata = {
    format: 'fact-checkpoint',
    version: String(CHECKPOINT_VERSION),
    state,
    sha256: digest(state, entries, data),
  };
  const text = Buffer.from(JSON.stringify({ __metadata__: metadata, ...entries }));
  const header = Buffer.concat([text, Buffer.alloc((8 - (text.length % 8)) % 8, ' ')]);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  writeFileAtomic(path, [length, header, ...data]);
}

function parseHeader(path: string, file: Buffer): { header: Record<string, unknown>; start: number } {
  if (file.length < 8) throw bad(path, `cut off: ${file.length} bytes`);
  const length = file.readBigUInt64LE(0);
  if (length > MAX_HEADER_BYTES || Number(length) > file.length - 8)
    throw bad(path, 'cut off, or no checkpoint');
  const start = 8 + Number(length);
  try {
    return { header: JSON.parse(file.toString('utf8', 8, start)) as Record<string, unknown>, start };
  } catch (error) {
    throw bad(path, `the header is damaged: ${messageOf(error)}`, error);
  }
}

/**
 * Reads a checkpoint and verifies its hash. Throws FactError E_CHECKPOINT_MISSING, E_CHECKPOINT_BROKEN (cut, damaged,
 * something else), E_CHECKPOINT_NEWER (written by a later version of this program).
 */
export function readCheckpointFile(path: string): CheckpointContent {
  let file: Buffer;
  try {
    file = readFileSync(path);
  } catch (error) {
    throw new FactError({
      code: 'E_CHECKPOINT_MISSING',
      message: `cannot read the checkpoint ${path}: ${systemCodeOf(error) === 'ENOENT' ? 'no such file' : messageOf(error)}`,
      remedy: 'Check the path; to start a new run leave out --resume.',
      cause: error,
    });
  }
  const { header, start } = parseHeader(path, file);
  const { __metadata__: metadata, ...rest } = header as { __metadata__?: Record<string, string> };
  if (metadata?.format !== 'fact-checkpoint') throw bad(path, 'not a checkpoint of a training run');
  if (Number(metadata.version) > CHECKPOINT_VERSION) {
    throw new FactError({
      code: 'E_CHECKPOINT_NEWER',
      message: `${path}: checkpoint version ${metadata.version}, this program reads up to ${CHECKPOINT_VERSION}`,
      remedy: 'Update fact-tfjs.',
    });
  }
  if (metadata.version !== String(CHECKPOINT_VERSION)) throw bad(path, `unknown version ${metadata.version}`);
  const entries = rest as Record<string, TensorEntry>;
  const data = file.subarray(start);
  if (digest(metadata.state, entries, [data]) !== metadata.sha256) {
    throw bad(path, 'the content does not match its SHA-256: damaged');
  }
  const tensors = new Map<string, StoredTensor>();
  for (const [name, entry] of Object.entries(entries)) {
    const bytes = new Uint8Array(data.subarray(...entry.data_offsets)); // copied: aligned
    tensors.set(name, {
      shape: entry.shape,
      values: entry.dtype === 'F32' ? new Float32Array(bytes.buffer) : new Int32Array(bytes.buffer),
    });
  }
  return { state: JSON.parse(metadata.state) as Record<string, unknown>, tensors };
}
