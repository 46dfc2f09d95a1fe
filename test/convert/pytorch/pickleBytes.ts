import { encodeZip } from '../../../src/convert/pytorch/zipWriter.js';
import { type Checkpoint, parseCheckpoint } from '../../../src/convert/readCheckpoint.js';

/** Builds pickles by hand, for tests: each part is text (opcodes) or bytes. */
export function pickle(...parts: (string | number[] | Uint8Array)[]): Uint8Array {
  return Buffer.concat(
    parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : Buffer.from(part))),
  );
}

/** BINUNICODE. */
export function text(value: string): Uint8Array {
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  return Buffer.concat([Buffer.from('X'), length, bytes]);
}

/** A float32 tensor of storage `key` by `_rebuild_tensor_v2`; shape and stride hold numbers below 256. */
export function tensor(key: string, numel: number, shape: number[], stride: number[]): Uint8Array {
  const tuple = (values: number[]): Uint8Array => pickle('(', ...values.map((v) => [0x4b, v]), 't');
  return pickle(
    'ctorch._utils\n_rebuild_tensor_v2\n((',
    text('storage'),
    'ctorch\nFloatStorage\n',
    text(key),
    text('cpu'),
    [0x4b, numel],
    'tQK\x00',
    tuple(shape),
    tuple(stride),
    [0x89],
    'ccollections\nOrderedDict\n)RtR',
  );
}

/** A checkpoint of one pickle (without PROTO and STOP) and float32 storages. */
export function zipOf(body: Uint8Array, storages: Record<string, Float32Array> = {}): Uint8Array {
  return Buffer.concat([
    ...encodeZip([
      { name: 'archive/data.pkl', bytes: pickle([0x80, 2], body, '.') },
      ...Object.entries(storages).map(([key, values]) => ({
        name: `archive/data/${key}`,
        bytes: new Uint8Array(values.buffer),
      })),
    ]),
  ]);
}

/** Reads such a checkpoint. */
export function readBody(body: Uint8Array, storages: Record<string, Float32Array> = {}): Checkpoint {
  return parseCheckpoint(new Uint8Array(zipOf(body, storages)), 'test.pth');
}
