import type { ByteSource } from '../byteSource.js';
import type { CheckpointErrors } from '../checkpointError.js';
import { MAX_ONNX_DEPTH, MAX_ONNX_FIELDS, MAX_ONNX_SKELETON } from '../limits.js';
import { ProtoCursor, WIRE } from './protoCursor.js';

/** Where the numbers of a tensor lie in the file. */
export interface DataRange {
  /** The field that they were in: raw_data 9, float_data 4, double_data 10. */
  readonly field: number;
  readonly start: number;
  readonly length: number;
}

/** An ONNX file without its numbers. */
export interface Skeleton {
  /** A ModelProto in which the raw data of each tensor are four bytes: an index into `ranges`. */
  readonly bytes: Uint8Array;
  readonly ranges: readonly DataRange[];
}

type Message = 'model' | 'graph' | 'node' | 'attribute' | 'tensor';

/** Fields that hold messages to be looked into: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto. */
const INSIDE: Readonly<Record<Message, ReadonlyMap<number, Message>>> = {
  model: new Map([[7, 'graph']]),
  graph: new Map([
    [1, 'node'],
    [5, 'tensor'],
  ]),
  node: new Map([[5, 'attribute']]),
  attribute: new Map([
    [5, 'tensor'],
    [6, 'graph'],
    [10, 'tensor'],
    [11, 'graph'],
  ]),
  tensor: new Map(),
};
/** Fields of those messages that are numbers, and how each is written; all others are bytes, but for those of `LISTS`. */
const NUMBERS: Readonly<Record<Message, ReadonlyMap<number, number>>> = {
  model: new Map([
    [1, WIRE.varint],
    [5, WIRE.varint],
  ]),
  graph: new Map(),
  node: new Map(),
  attribute: new Map([
    [2, WIRE.fixed32],
    [3, WIRE.varint],
    [20, WIRE.varint],
  ]),
  tensor: new Map([
    [2, WIRE.varint],
    [14, WIRE.varint],
  ]),
};
/** Lists of numbers: packed into bytes, or one by one as given here. */
const LISTS: Readonly<Record<Message, ReadonlyMap<number, number>>> = {
  model: new Map(),
  graph: new Map(),
  node: new Map(),
  attribute: new Map([
    [7, WIRE.fixed32],
    [8, WIRE.varint],
  ]),
  tensor: new Map([
    [1, WIRE.varint],
    [4, WIRE.fixed32],
    [5, WIRE.varint],
    [7, WIRE.varint],
    [10, WIRE.fixed64],
    [11, WIRE.varint],
  ]),
};
/** The last field number of those messages; a reader that knows them ignores what lies beyond. */
const LAST_FIELD = 26;
/** Data of a tensor: float, int32, string, int64, raw, double, uint64. */
const DATA = [4, 5, 6, 7, 9, 10, 11];
const RAW = 9;
/** Packed lists of these are the numbers themselves, little-endian: float32 and float64. */
const PLAIN = [4, 10];

function varintBytes(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 128) {
    bytes.push((rest % 128) | 128);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
  return Buffer.from(bytes);
}

/**
 * Copies an ONNX file without the numbers of its tensors, so that models of any size are looked at in little memory, and
 * checks on the way what a protobuf reader trusts: lengths, number sizes, wire types, nesting.
 * Throws FactError E_CKPT_CORRUPT, E_CKPT_TRUNCATED, E_CKPT_TOO_LARGE.
 */
export function readSkeleton(source: ByteSource, errors: CheckpointErrors): Skeleton {
  const cursor = new ProtoCursor(source, errors);
  const ranges: DataRange[] = [];
  let fields = 0;
  let copied = 0;

  const copy = (kind: Message, end: number, depth: number): { pieces: Uint8Array[]; length: number } => {
    if (depth > MAX_ONNX_DEPTH)
      throw errors.fault('too_large', `byte ${cursor.at}`, `graphs nested deeper than ${MAX_ONNX_DEPTH}`);
    const pieces: Uint8Array[] = [];
    let length = 0;
    const add = (piece: Uint8Array): void => {
      pieces.push(piece);
      length += piece.length;
      copied += piece.length;
      if (copied > MAX_ONNX_SKELETON)
        throw errors.fault(
          'too_large',
          `byte ${cursor.at}`,
          `more than ${MAX_ONNX_SKELETON} bytes beside the numbers of tensors`,
        );
    };
    let dataField = 0;
    while (cursor.at < end) {
      if (++fields > MAX_ONNX_FIELDS)
        throw errors.fault('too_large', `byte ${cursor.at}`, `more than ${MAX_ONNX_FIELDS} fields`);
      const start = cursor.at;
      const { field, wire } = cursor.tag(end);
      checkWire(kind, field, wire, start);
      if (kind === 'tensor' && DATA.includes(field)) {
        if (dataField !== 0 && (dataField !== field || wire === WIRE.bytes))
          throw errors.fault('corrupt', `byte ${start}`, 'a tensor with two fields of data');
        dataField = field;
      }
      const inside = wire === WIRE.bytes ? INSIDE[kind].get(field) : undefined;
      if (inside !== undefined) {
        const size = cursor.length(end);
        const inner = copy(inside, cursor.at + size, depth + 1);
        add(varintBytes(field * 8 + WIRE.bytes));
        add(varintBytes(inner.length));
        pieces.push(...inner.pieces);
        length += inner.length;
      } else if (kind === 'tensor' && wire === WIRE.bytes && (field === RAW || PLAIN.includes(field))) {
        const size = cursor.length(end);
        const token = Buffer.alloc(6);
        token[0] = RAW * 8 + WIRE.bytes;
        token[1] = 4;
        token.writeUInt32LE(ranges.length, 2);
        ranges.push({ field, start: cursor.at, length: size });
        add(token);
        cursor.at += size;
      } else {
        cursor.skip(wire, end);
        if (cursor.at - start > MAX_ONNX_SKELETON)
          throw errors.fault('too_large', `byte ${start}`, `a field of ${cursor.at - start} bytes`);
        add(cursor.slice(start, cursor.at));
      }
    }
    return { pieces, length };
  };

  const checkWire = (kind: Message, field: number, wire: number, at: number): void => {
    // A protobuf reader takes a known field as its schema says, whatever the file says: both have to agree.
    const single = NUMBERS[kind].get(field);
    const listed = LISTS[kind].get(field);
    const fits =
      single !== undefined
        ? wire === single
        : wire === WIRE.bytes || (listed !== undefined ? wire === listed : field > LAST_FIELD);
    if (!fits)
      throw errors.fault(
        'corrupt',
        `byte ${at}`,
        `field ${field} of a ${kind} has the wrong wire type ${wire}`,
      );
  };

  const { pieces } = copy('model', source.size, 0);
  return { bytes: Buffer.concat(pieces), ranges };
}
