import { writeFileAtomic } from '../core/atomicFile.js';
import { type ByteSource, MemorySource } from './byteSource.js';
import { CheckpointErrors, quoted } from './checkpointError.js';
import {
  byteLengthOf,
  countOf,
  DTYPES,
  type DType,
  dtypeFacts,
  lazyTensor,
  type NamedTensor,
} from './dtypes.js';
import { MAX_AXES, MAX_HEADER_BYTES, MAX_JSON_DEPTH, MAX_JSON_VALUES, MAX_TENSORS } from './limits.js';
import { type Json, JsonFault, parseStrictJson } from './strictJson.js';

/**
 * safetensors: header length (8 bytes, little-endian), JSON header {name: {dtype, shape, data_offsets}}, then the data.
 * The data of all tensors follow each other without gaps, overlaps or rest.
 */
const LENGTH_FIELD = 8;
const METADATA = '__metadata__';

const byCode = new Map<string, DType>();
for (const facts of DTYPES) if (facts.safetensors !== null) byCode.set(facts.safetensors, facts.name);

/** True where the first bytes of a file could only be meant as safetensors: a header that begins with a brace and lies within it. */
export function looksLikeSafetensors(head: Uint8Array, fileBytes: number): boolean {
  if (head.length < LENGTH_FIELD + 2 || head[LENGTH_FIELD] !== 0x7b) return false;
  const length = new DataView(head.buffer, head.byteOffset, LENGTH_FIELD).getBigUint64(0, true);
  return length <= BigInt(fileBytes - LENGTH_FIELD);
}

/**
 * Reads the header of a safetensors file; tensors in its order, their bytes on demand (of bytes in memory: views).
 * @param name the file's name, for errors. Throws E_CKPT_TRUNCATED, _CORRUPT, _UNSUPPORTED, _TOO_LARGE.
 */
export function readSafetensors(
  content: ByteSource | Uint8Array,
  name: string,
): { tensors: NamedTensor[]; metadata: Map<string, string> } {
  const errors = new CheckpointErrors(name);
  const source = content instanceof Uint8Array ? new MemorySource(content) : content;
  if (source.size < LENGTH_FIELD)
    throw errors.fault(
      'truncated',
      '',
      `${source.size} bytes; a safetensors file has at least ${LENGTH_FIELD}`,
    );
  const field = source.read(0, LENGTH_FIELD);
  const wide = new DataView(field.buffer, field.byteOffset, LENGTH_FIELD).getBigUint64(0, true);
  if (wide > BigInt(MAX_HEADER_BYTES))
    throw errors.fault(
      'too_large',
      'byte 0',
      `a header of ${wide} bytes, at most ${MAX_HEADER_BYTES} are legal`,
    );
  const length = Number(wide);
  const start = LENGTH_FIELD + length;
  if (start > source.size)
    throw errors.fault(
      'truncated',
      'byte 0',
      `a header of ${length} bytes, ${source.size - LENGTH_FIELD} are left`,
    );
  const header = parseHeader(source.read(LENGTH_FIELD, length), errors);
  const metadata = readMetadata(header.get(METADATA), errors);
  if (header.size > MAX_TENSORS)
    throw errors.fault('too_large', 'header', `more than ${MAX_TENSORS} tensors`);

  const dataBytes = source.size - start;
  const spans: { begin: number; end: number; name: string }[] = [];
  const tensors: NamedTensor[] = [];
  for (const [tensorName, entry] of header) {
    if (tensorName === METADATA) continue;
    const { dtype, shape, begin, end } = readEntry(tensorName, entry, errors);
    if (end > dataBytes)
      throw errors.fault(
        'truncated',
        `tensor ${quoted(tensorName)}`,
        `its data end at byte ${end} of the data, ${dataBytes} are there`,
      );
    spans.push({ begin, end, name: tensorName });
    tensors.push(lazyTensor(tensorName, dtype, shape, () => source.read(start + begin, end - begin)));
  }
  spans.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let at = 0;
  for (const span of spans) {
    if (span.begin !== at)
      throw errors.fault(
        'corrupt',
        `tensor ${quoted(span.name)}`,
        span.begin < at
          ? `its data begin at byte ${span.begin}, inside those of another tensor`
          : `bytes ${at} to ${span.begin} before its data belong to no tensor`,
      );
    at = span.end;
  }
  if (at !== dataBytes)
    throw errors.fault('corrupt', `byte ${start + at}`, `${dataBytes - at} bytes behind the last tensor`);
  return { tensors, metadata };
}

function parseHeader(bytes: Uint8Array, errors: CheckpointErrors): ReadonlyMap<string, Json> {
  if (bytes[0] !== 0x7b) throw errors.fault('corrupt', 'byte 8', 'the header does not begin with "{"');
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw errors.fault('corrupt', 'header', 'it is not UTF-8');
  }
  try {
    const header = parseStrictJson(text, { depth: MAX_JSON_DEPTH, values: MAX_JSON_VALUES });
    if (header instanceof Map) return header;
  } catch (error) {
    if (!(error instanceof JsonFault)) throw error;
    throw errors.fault(
      error.isTooLarge ? 'too_large' : 'corrupt',
      `header, character ${error.at}`,
      error.message,
    );
  }
  throw errors.fault('corrupt', 'header', 'it is no JSON object');
}

function readMetadata(value: Json | undefined, errors: CheckpointErrors): Map<string, string> {
  const metadata = new Map<string, string>();
  if (value === undefined) return metadata;
  if (!(value instanceof Map)) throw errors.fault('corrupt', `header, ${METADATA}`, 'it is no object');
  for (const [key, text] of value as ReadonlyMap<string, Json>) {
    if (typeof text !== 'string')
      throw errors.fault('corrupt', `header, ${METADATA}`, `the value of ${quoted(key)} is no string`);
    metadata.set(key, text);
  }
  return metadata;
}

function readEntry(
  name: string,
  entry: Json,
  errors: CheckpointErrors,
): { dtype: DType; shape: number[]; begin: number; end: number } {
  const fail = (what: string): Error => errors.fault('corrupt', `tensor ${quoted(name)}`, what);
  if (!(entry instanceof Map)) throw fail('its entry is no object');
  const fields = entry as ReadonlyMap<string, Json>;
  for (const field of fields.keys())
    if (field !== 'dtype' && field !== 'shape' && field !== 'data_offsets')
      throw fail(`an unknown field ${quoted(field)}`);
  const code = fields.get('dtype');
  const dtype = typeof code === 'string' ? byCode.get(code) : undefined;
  if (typeof code !== 'string') throw fail('it has no dtype');
  if (dtype === undefined)
    throw errors.fault('unsupported', `tensor ${quoted(name)}`, `its dtype ${quoted(code)} is not known`);
  const shape = wholeNumbers(fields.get('shape'), 'shape', fail);
  if (shape.length > MAX_AXES) throw fail(`${shape.length} axes, at most ${MAX_AXES} are legal`);
  const offsets = wholeNumbers(fields.get('data_offsets'), 'data_offsets', fail);
  if (offsets.length !== 2) throw fail('its data_offsets are not two numbers');
  const [begin, end] = offsets;
  if (end < begin) throw fail(`its data end (${end}) before they begin (${begin})`);
  const size = (countOf(shape) * dtypeFacts(dtype).bits) / 8;
  if (size !== end - begin) {
    const needed = Number.isNaN(size) ? 'more than 2^53' : size;
    throw fail(`shape [${shape}] of ${dtype} needs ${needed} bytes, it has ${end - begin}`);
  }
  return { dtype, shape, begin, end };
}

function wholeNumbers(value: Json | undefined, what: string, fail: (what: string) => Error): number[] {
  if (!Array.isArray(value)) throw fail(`its ${what} is no list`);
  return value.map((item: Json) => {
    if (typeof item !== 'number' || !Number.isSafeInteger(item) || item < 0 || Object.is(item, -0))
      throw fail(
        `its ${what} holds ${typeof item === 'number' ? item : typeof item}, expected whole numbers from 0 to 2^53`,
      );
    return item;
  });
}

/**
 * A safetensors file as pieces to be written one after the other; each tensor's bytes are fetched when its turn comes. Names keep their order in the header; in the data
 * wide elements come first, so that each tensor is aligned.
 * Throws E_CKPT_UNSUPPORTED for an element type that the format lacks.
 */
export function encodeSafetensors(
  tensors: readonly NamedTensor[],
  metadata: ReadonlyMap<string, string> = new Map(),
): Iterable<Uint8Array> {
  const errors = new CheckpointErrors('safetensors');
  const order = tensors
    .map((tensor, index) => ({ tensor, index, bits: dtypeFacts(tensor.dtype).bits }))
    .sort((a, b) => b.bits - a.bits || a.index - b.index);
  const offsets = new Array<readonly [number, number]>(tensors.length);
  let at = 0;
  for (const { tensor, index } of order) {
    const end = at + byteLengthOf(tensor);
    offsets[index] = [at, end];
    at = end;
  }
  const names = new Set<string>();
  const entries: string[] = [];
  if (metadata.size > 0)
    entries.push(
      `${JSON.stringify(METADATA)}:{${[...metadata].map(([k, v]) => `${JSON.stringify(k)}:${JSON.stringify(v)}`).join(',')}}`,
    );
  tensors.forEach((tensor, index) => {
    const code = dtypeFacts(tensor.dtype).safetensors;
    if (code === null)
      throw errors.fault(
        'unsupported',
        `tensor ${quoted(tensor.name)}`,
        `the format has no ${tensor.dtype}`,
        'Write a .pth file.',
      );
    if (names.has(tensor.name) || tensor.name === METADATA)
      throw errors.fault(
        'unsupported',
        `tensor ${quoted(tensor.name)}`,
        'the name is taken',
        'Rename the tensor.',
      );
    names.add(tensor.name);
    const [begin, end] = offsets[index];
    entries.push(
      `${JSON.stringify(tensor.name)}:{"dtype":"${code}","shape":[${tensor.shape}],"data_offsets":[${begin},${end}]}`,
    );
  });
  const json = Buffer.from(`{${entries.join(',')}}`);
  const padded = Buffer.alloc(Math.ceil(json.length / 8) * 8, 0x20);
  json.copy(padded);
  const length = Buffer.alloc(LENGTH_FIELD);
  length.writeBigUInt64LE(BigInt(padded.length));
  return pieces(length, padded, order);
}

function* pieces(
  length: Uint8Array,
  header: Uint8Array,
  order: readonly { readonly tensor: NamedTensor }[],
): Generator<Uint8Array> {
  yield length;
  yield header;
  for (const { tensor } of order) yield tensor.bytes;
}

/** Writes a safetensors file atomically. Throws E_WRITE, E_CKPT_UNSUPPORTED. */
export function writeSafetensors(
  path: string,
  tensors: readonly NamedTensor[],
  metadata?: ReadonlyMap<string, string>,
): void {
  writeFileAtomic(path, encodeSafetensors(tensors, metadata));
}
