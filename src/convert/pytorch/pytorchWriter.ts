import { writeFileAtomic } from '../../core/atomicFile.js';
import { CheckpointErrors, quoted } from '../checkpointError.js';
import { byteLengthOf, countOf, dtypeFacts, type NamedTensor } from '../dtypes.js';
import { encodeZip, type ZipEntry } from './zipWriter.js';

/** The few pickle opcodes that a state dict needs (protocol 2). */
class PickleWriter {
  private readonly pieces: Buffer[] = [];

  raw(...bytes: number[]): this {
    this.pieces.push(Buffer.from(bytes));
    return this;
  }

  text(value: string): this {
    const bytes = Buffer.from(value);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(bytes.length);
    this.pieces.push(Buffer.from('X'), length, bytes);
    return this;
  }

  global(module: string, name: string): this {
    this.pieces.push(Buffer.from(`c${module}\n${name}\n`));
    return this;
  }

  integer(value: number): this {
    const bytes = Buffer.alloc(5);
    if (value <= 0x7fffffff) {
      bytes.write('J');
      bytes.writeInt32LE(value, 1);
      this.pieces.push(bytes);
      return this;
    }
    const long = Buffer.alloc(10);
    long[0] = 0x8a;
    long[1] = 8;
    long.writeBigInt64LE(BigInt(value), 2);
    this.pieces.push(long);
    return this;
  }

  tuple(values: readonly number[]): this {
    this.pieces.push(Buffer.from('('));
    for (const value of values) this.integer(value);
    this.pieces.push(Buffer.from('t'));
    return this;
  }

  symbol(text: string): this {
    this.pieces.push(Buffer.from(text));
    return this;
  }

  end(): Uint8Array {
    this.pieces.push(Buffer.from('.'));
    return Buffer.concat(this.pieces);
  }
}

const EMPTY_DICT_CALL = ')R';

/** Row-major strides in elements. */
function contiguousStrides(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = step;
    step *= Math.max(1, shape[axis]);
  }
  return strides;
}

/**
 * A PyTorch checkpoint (zip form) as pieces, each tensor's bytes fetched when its turn comes: an OrderedDict of plain tensors, which
 * `torch.load(path, weights_only=True)` reads, below the key `under` where one is given (as in Lightning files).
 * Tensors with the same `tie` share their storage.
 * Throws E_CKPT_UNSUPPORTED for an element type that PyTorch lacks and for names that are there twice.
 */
export function encodePyTorch(
  tensors: readonly NamedTensor[],
  under: string | null = null,
): Iterable<Uint8Array> {
  const errors = new CheckpointErrors('PyTorch checkpoint');
  const pickle = new PickleWriter().raw(0x80, 2);
  if (under !== null) pickle.symbol('}').text(under);
  pickle.global('collections', 'OrderedDict').symbol(`${EMPTY_DICT_CALL}(`);
  const records: ZipEntry[] = [];
  const keys = new Map<object, Map<string, string>>();
  const names = new Set<string>();
  for (const tensor of tensors) {
    const { name, dtype, shape } = tensor;
    const facts = dtypeFacts(dtype);
    if (!facts.torch)
      throw errors.fault(
        'unsupported',
        `tensor ${quoted(name)}`,
        `PyTorch cannot save ${dtype}`,
        'Write safetensors.',
      );
    if (names.has(name))
      throw errors.fault(
        'unsupported',
        `tensor ${quoted(name)}`,
        'the name is there twice',
        'Rename the tensor.',
      );
    names.add(name);
    const tie = tensor.tie ?? tensor;
    const byType = keys.get(tie) ?? new Map<string, string>();
    keys.set(tie, byType);
    let key = byType.get(dtype);
    if (key === undefined) {
      key = String(records.length);
      byType.set(dtype, key);
      records.push({
        name: `archive/data/${key}`,
        get bytes() {
          return tensor.bytes;
        },
      });
    }
    const isTyped = facts.storage !== null;
    pickle
      .text(name)
      .global('torch._utils', isTyped ? '_rebuild_tensor_v2' : '_rebuild_tensor_v3')
      .symbol('((');
    pickle.text('storage');
    if (facts.storage !== null) pickle.global('torch', facts.storage);
    else pickle.global('torch.storage', 'UntypedStorage');
    pickle
      .text(key)
      .text('cpu')
      .integer(isTyped ? countOf(shape) : byteLengthOf(tensor))
      .symbol('tQ')
      .integer(0);
    pickle.tuple(shape).tuple(contiguousStrides(shape));
    // requires_grad False, no backward hooks.
    pickle.raw(0x89).global('collections', 'OrderedDict').symbol(EMPTY_DICT_CALL);
    if (!isTyped) pickle.global('torch', dtype);
    pickle.symbol('tR');
  }
  const members: ZipEntry[] = [
    { name: 'archive/data.pkl', bytes: pickle.symbol(under === null ? 'u' : 'us').end() },
    { name: 'archive/byteorder', bytes: Buffer.from('little') },
    ...records,
    { name: 'archive/version', bytes: Buffer.from('3\n') },
  ];
  return encodeZip(members);
}

/** Writes a PyTorch checkpoint atomically. Throws E_WRITE, E_CKPT_UNSUPPORTED. */
export function writePyTorch(
  path: string,
  tensors: readonly NamedTensor[],
  under: string | null = null,
): void {
  writeFileAtomic(path, encodePyTorch(tensors, under));
}
