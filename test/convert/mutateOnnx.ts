import type { Random } from '../../src/core/random.js';
import { mutateBytes } from './mutate.js';

/** A protobuf field, its content taken apart where it can be. */
interface Field {
  number: number;
  wire: number;
  value: bigint | Buffer | Field[];
}

const EDGES = [0n, 1n, 2n, 127n, 128n, 2n ** 31n - 1n, 2n ** 31n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n];

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 128n) {
    bytes.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}

/** The fields of a message; null where the bytes are none. */
function parse(bytes: Buffer, depth: number): Field[] | null {
  const fields: Field[] = [];
  let at = 0;
  /** A varint below 2^53; -1 for none. */
  const read = (): number => {
    let value = 0;
    for (let scale = 1; scale < 2 ** 49; scale *= 128) {
      if (at >= bytes.length) return -1;
      const byte = bytes[at++];
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
    return -1;
  };
  while (at < bytes.length) {
    const tag = read();
    const number = Math.floor(tag / 8);
    const wire = tag % 8;
    if (number <= 0 || number > 64) return null;
    if (wire === 0) {
      const value = read();
      if (value < 0) return null;
      fields.push({ number, wire, value: BigInt(value) });
      continue;
    }
    const length = wire === 2 ? read() : wire === 5 ? 4 : wire === 1 ? 8 : -1;
    if (length < 0 || length > bytes.length - at) return null;
    const content = bytes.subarray(at, at + length);
    at += length;
    const inner = wire === 2 && depth > 0 && length > 1 ? parse(content, depth - 1) : null;
    fields.push({ number, wire, value: inner ?? content });
  }
  return fields;
}

/** Trees of the files that mutants are made from; a mutant changes a copy. */
const trees = new WeakMap<Uint8Array, Field[] | null>();

function copyOf(fields: readonly Field[]): Field[] {
  return fields.map(({ number, wire, value }) => ({
    number,
    wire,
    value: Array.isArray(value) ? copyOf(value) : value,
  }));
}

function treeOf(bytes: Uint8Array): Field[] | null {
  let tree = trees.get(bytes);
  if (tree === undefined) {
    tree = parse(Buffer.from(bytes), 6);
    trees.set(bytes, tree);
  }
  return tree === null ? null : copyOf(tree);
}

function write(fields: readonly Field[]): Buffer {
  const pieces = fields.flatMap(({ number, wire, value }) => {
    const tag = varint(BigInt(number * 8 + wire));
    if (typeof value === 'bigint') return [tag, varint(value)];
    const content = Array.isArray(value) ? write(value) : value;
    return wire === 2 ? [tag, varint(BigInt(content.length)), content] : [tag, content];
  });
  return Buffer.concat(pieces);
}

/** Changes the fields of an ONNX file: numbers, contents, order, nesting; lengths are right again afterwards. */
export function mutateOnnx(bytes: Uint8Array, random: Random): Uint8Array {
  const root = treeOf(bytes);
  if (root === null) return mutateBytes(bytes, random);
  const count = 1 + random.integer(3);
  for (let i = 0; i < count; i++) {
    let list = root;
    let at = random.integer(Math.max(1, list.length));
    // Walks down at random, so that deep fields are changed as often as those near the root.
    while (list[at] !== undefined && Array.isArray(list[at].value) && random.next() < 0.75) {
      list = list[at].value as Field[];
      at = random.integer(Math.max(1, list.length));
    }
    const field = list[at];
    if (field === undefined) continue;
    switch (random.integer(9)) {
      case 0:
        field.wire = 0;
        field.value = EDGES[random.integer(EDGES.length)];
        break;
      case 1:
        list.splice(at, 1);
        break;
      case 2:
        list.splice(at, 0, { ...field });
        break;
      case 3:
        field.number = 1 + random.integer(26);
        break;
      case 4:
        field.wire = random.integer(6);
        break;
      case 5:
        if (Buffer.isBuffer(field.value)) field.value = Buffer.from(mutateBytes(field.value, random));
        break;
      case 6: {
        const texts = ['../x', '/etc/passwd', 'C:\\x', 'Loop', 'If', '__proto__', '', 'a'.repeat(300)];
        if (field.wire === 2) field.value = Buffer.from(texts[random.integer(texts.length)]);
        break;
      }
      case 7: {
        let value: Field[] | Buffer | bigint = field.value;
        const numbers = [7, 1, 5, 6];
        for (let depth = 1 << random.integer(9); depth > 0 && typeof value !== 'bigint'; depth--)
          value = [{ number: numbers[depth % 4], wire: 2, value }];
        field.value = value;
        field.wire = 2;
        break;
      }
      default: {
        const other = random.integer(list.length);
        [list[at], list[other]] = [list[other], list[at]];
      }
    }
  }
  try {
    return new Uint8Array(write(root));
  } catch {
    return mutateBytes(bytes, random);
  }
}
