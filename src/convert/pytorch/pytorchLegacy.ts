import { FactError } from '../../core/errors.js';
import type { ByteSource } from '../byteSource.js';
import { type CheckpointErrors, quoted } from '../checkpointError.js';
import { dtypeFacts } from '../dtypes.js';
import { MAX_PICKLE_BYTES } from '../limits.js';
import { PickleMachine } from './pickleMachine.js';
import { kindOf, type PickleValue, type PyStorage, type PyTensor } from './pickleValues.js';
import { readStorageId, StorageTable } from './pytorchStorage.js';
import type { PyTorchFile } from './pytorchZip.js';
import { contiguousBytes } from './tensorView.js';

/** `torch.serialization.MAGIC_NUMBER` and `PROTOCOL_VERSION`. */
const MAGIC = 0x1950a86a20f9469cfc6cn;
const PROTOCOL = 1001;
const LENGTH_FIELD = 8;

/** True where the bytes begin with the pickled magic number of the legacy form. */
export function looksLikeLegacy(bytes: Uint8Array): boolean {
  // PROTO, version, LONG1, ten bytes; protocol 4 and 5 put a frame of nine bytes before it.
  const at = bytes[2] === 0x95 ? 11 : 2;
  return bytes[0] === 0x80 && bytes[1] >= 2 && bytes[1] <= 5 && bytes[at] === 0x8a && bytes[at + 1] === 10;
}

/** The pickles stand at the beginning: this much is looked at first, then more. */
const FIRST_LOOK = 2 ** 20;

/**
 * Reads the form before PyTorch 1.6: five pickles (magic number, protocol, facts about the system, the object, the
 * keys of its storages), then each storage as its number of elements (int64) and its little-endian bytes.
 */
export function readPyTorchLegacy(source: ByteSource, errors: CheckpointErrors): PyTorchFile {
  for (
    let length = Math.min(source.size, FIRST_LOOK);
    ;
    length = Math.min(source.size, length * 16, MAX_PICKLE_BYTES)
  ) {
    try {
      return readFrom(source, source.read(0, length), errors);
    } catch (error) {
      const isCut = error instanceof FactError && error.code === 'E_CKPT_TRUNCATED';
      if (!isCut || length === source.size) throw error;
      if (length === MAX_PICKLE_BYTES)
        throw errors.fault(
          'too_large',
          'legacy stream',
          `its pickles are longer than ${MAX_PICKLE_BYTES} bytes`,
        );
    }
  }
}

/** Reads the pickles from `head`, the beginning of the file. */
function readFrom(source: ByteSource, head: Uint8Array, errors: CheckpointErrors): PyTorchFile {
  const storages = new StorageTable(errors);
  const machine = new PickleMachine(head, {
    errors,
    stream: 'legacy stream',
    persistent: (value, where) => {
      const id = readStorageId(errors, where, value);
      const storage = storages.get(id, where, () => {});
      return id.view === null ? storage : storageView(errors, where, storage, id.view);
    },
  });
  const magic = machine.run(0);
  if (magic.value !== MAGIC)
    throw errors.fault(
      'unsupported',
      'byte 0',
      'neither a zip archive nor the magic number of an older checkpoint',
    );
  const protocol = machine.run(magic.end);
  if (protocol.value !== PROTOCOL)
    throw errors.fault(
      'unsupported',
      `byte ${magic.end}`,
      `protocol ${String(protocol.value)}, expected ${PROTOCOL}`,
    );
  const system = machine.run(protocol.end);
  if (entry(system.value, 'little_endian') === false)
    throw errors.fault('unsupported', `byte ${protocol.end}`, 'an older checkpoint of a big-endian machine');
  const object = machine.run(system.end);
  const keys = machine.run(object.end);
  const starts = findStorages(source, errors, storages, keys.value, keys.end);

  let storageBytes = 0;
  for (const storage of storages.all()) storageBytes += storage.byteLength;
  return {
    root: object.value,
    storageBytes,
    bytesOf: (tensor: PyTensor) => {
      const start = starts.get(tensor.storage.key);
      if (start === undefined)
        throw errors.fault(
          'corrupt',
          `byte ${keys.end}`,
          `storage ${quoted(tensor.storage.key)} is not in the file`,
        );
      return contiguousBytes(tensor, (from, length) => source.read(start + from, length));
    },
  };
}

/** Value of a text key of a dict; undefined where there is none. */
function entry(dict: PickleValue, key: string): PickleValue | undefined {
  if (dict === null || typeof dict !== 'object' || dict.kind !== 'dict') return undefined;
  return dict.entries.get(`s${key}`)?.[1];
}

/** A window `(key, offset, elements)` of a storage, as very old files write it. */
function storageView(
  errors: CheckpointErrors,
  where: string,
  storage: PyStorage,
  view: PickleValue,
): PyStorage {
  const fail = (what: string): Error => errors.fault('corrupt', where, what);
  if (view === null || typeof view !== 'object' || view.kind !== 'tuple' || view.items.length !== 3)
    throw fail(`a ${kindOf(view)} in place of a storage view`);
  const [, offset, count] = view.items;
  const size = storage.dtype === null ? 1 : dtypeFacts(storage.dtype).bits / 8;
  if (typeof offset !== 'number' || typeof count !== 'number' || offset < 0 || count < 0)
    throw fail('a storage view with a bad offset or length');
  const byteOffset = offset * size;
  const byteLength = count * size;
  if (!(byteOffset + byteLength <= storage.byteLength)) throw fail('a storage view that leaves its storage');
  return { ...storage, byteOffset, byteLength };
}

/** Where the bytes of each storage begin in the file, by its key. */
function findStorages(
  source: ByteSource,
  errors: CheckpointErrors,
  storages: StorageTable,
  keys: PickleValue,
  start: number,
): Map<string, number> {
  if (keys === null || typeof keys !== 'object' || keys.kind !== 'list')
    throw errors.fault('corrupt', `byte ${start}`, `a ${kindOf(keys)} in place of the list of storages`);
  const byKey = new Map([...storages.all()].map((storage) => [storage.key, storage]));
  const starts = new Map<string, number>();
  let at = start;
  for (const key of keys.items) {
    const storage = typeof key === 'string' ? byKey.get(key) : undefined;
    if (storage === undefined || starts.has(storage.key))
      throw errors.fault(
        'corrupt',
        `byte ${start}`,
        'the list of storages names one twice, or one that no tensor uses',
      );
    if (at + LENGTH_FIELD > source.size)
      throw errors.fault(
        'truncated',
        `byte ${at}`,
        `the length of storage ${quoted(storage.key)} is missing`,
      );
    const size = storage.dtype === null ? 1 : dtypeFacts(storage.dtype).bits / 8;
    const field = source.read(at, LENGTH_FIELD);
    const claimed = new DataView(field.buffer, field.byteOffset, LENGTH_FIELD).getBigInt64(0, true);
    if (claimed !== BigInt(storage.byteLength / size))
      throw errors.fault(
        'corrupt',
        `byte ${at}`,
        `storage ${quoted(storage.key)} has ${claimed} elements here and ${storage.byteLength / size} in the object`,
      );
    at += LENGTH_FIELD;
    if (at + storage.byteLength > source.size)
      throw errors.fault(
        'truncated',
        `byte ${at}`,
        `storage ${quoted(storage.key)} needs ${storage.byteLength} bytes, ${source.size - at} are left`,
      );
    starts.set(storage.key, at);
    at += storage.byteLength;
  }
  if (at !== source.size)
    throw errors.fault('corrupt', `byte ${at}`, `${source.size - at} bytes behind the last storage`);
  return starts;
}
