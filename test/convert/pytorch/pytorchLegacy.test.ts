import { describe, expect, it } from 'vitest';
import { type Checkpoint, parseCheckpoint } from '../../../src/convert/readCheckpoint.js';
import { pickle, text } from './pickleBytes.js';

/** torch.serialization.MAGIC_NUMBER as LONG1. */
const MAGIC = pickle([0x80, 2, 0x8a, 10], Buffer.from('6cfc9c46f9206aa85019', 'hex'), '.');

/** A legacy file of one tensor [2] at the start of its storage; `view` is the last field of its storage id. */
function legacy(
  view: Uint8Array,
  options: { protocol?: number; littleEndian?: boolean; rest?: number[] } = {},
): Checkpoint {
  const protocol = Buffer.alloc(2);
  protocol.writeUInt16LE(options.protocol ?? 1001);
  const system = pickle(
    [0x80, 2],
    '}',
    text('little_endian'),
    [options.littleEndian === false ? 0x89 : 0x88],
    's.',
  );
  const object = pickle(
    [0x80, 2],
    '}',
    text('w'),
    'ctorch._utils\n_rebuild_tensor_v2\n((',
    text('storage'),
    'ctorch\nFloatStorage\n',
    text('7'),
    text('cpu'),
    'K\x04',
    view,
    'tQK\x00K\x02\x85K\x01\x85\x89}tRs.',
  );
  const keys = pickle([0x80, 2], ']', text('7'), 'a.');
  const length = Buffer.alloc(8);
  length.writeBigInt64LE(4n);
  const data = new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer);
  const file = pickle(
    MAGIC,
    [0x80, 2, 0x4d],
    protocol,
    '.',
    system,
    object,
    keys,
    length,
    data,
    options.rest ?? [],
  );
  return parseCheckpoint(new Uint8Array(file), 'old.pth');
}

const valuesOf = ({ tensors }: Checkpoint): number[] => [
  ...new Float32Array(tensors[0].bytes.slice().buffer),
];
const refused = (code: string) => expect.objectContaining({ code: `E_CKPT_${code}` });

describe('the form before PyTorch 1.6', () => {
  it('is read', () => {
    expect(valuesOf(legacy(pickle('N')))).toEqual([1, 2]);
  });

  it('may have tensors on windows of a storage, as very old files have', () => {
    expect(valuesOf(legacy(pickle('(', text('8'), 'K\x02K\x02t')))).toEqual([3, 4]);
  });

  it('is refused where a window leaves its storage, or is shorter than its tensor', () => {
    expect(() => legacy(pickle('(', text('8'), 'K\x03K\x02t'))).toThrowError(refused('CORRUPT'));
    expect(() => legacy(pickle('(', text('8'), 'K\x03K\x01t'))).toThrowError(refused('CORRUPT'));
    expect(() => legacy(pickle(']'))).toThrowError(refused('CORRUPT'));
  });

  it('is refused with another protocol, of a big-endian machine, or with bytes behind the last storage', () => {
    expect(() => legacy(pickle('N'), { protocol: 1002 })).toThrowError(refused('UNSUPPORTED'));
    expect(() => legacy(pickle('N'), { littleEndian: false })).toThrowError(refused('UNSUPPORTED'));
    expect(() => legacy(pickle('N'), { rest: [0] })).toThrowError(refused('CORRUPT'));
  });
});
