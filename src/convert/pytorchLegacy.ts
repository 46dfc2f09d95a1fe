import { type CheckpointErrors, quoted } from './checkpointError.js';
import { dtypeFacts } from './dtypes.js';
import { MAX_PICKLE_BYTES } from './limits.js';
import { PickleMachine } from './pickleMachine.js';
import { kindOf, type PickleValue, type PyStorage, type PyTensor } from './pickleValues.js';
import { readStorageId, StorageTable } from './pytorchStorage.js';
import type { PyTorchFile } from './pytorchZip.js';
import { ContiguousCopies } from './tensorView.js';

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

/**
 * Reads the form before PyTorch 1.6: five pickles (magic number, protocol, facts about the system, the object, the
 * keys of its storages), then each storage as its number of elements (int64) and its little-endian bytes.
 */
export function readPyTorchLegacy(bytes: Uint8Array, errors: CheckpointErrors): PyTorchFile {
  const storages = new StorageTable(errors);
  const machine = new PickleMachine(
    bytes.length > MAX_PICKLE_BYTES * 32 ? bytes.subarray(0, MAX_PICKLE_BYTES * 32) : bytes,
    {
      errors,
      stream: 'legacy stream',
      persistent: (value, where) => {
        const id = readStorageId(errors, where, value);
        const storage = storages.get(id, where, () => {});
        return id.view === null ? storage : storageView(errors, where, storage, id.view);
      },
    },
  );
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
  const contents = readStorages(bytes, errors, storages, keys.value, keys.end);

  let total = 0;
  for (const storage of storages.all()) total += storage.byteLength;
  const copies = new ContiguousCopies(errors, total);
  return {
    root: object.value,
    bytesOf: (tensor: PyTensor) => {
      const content = contents.get(tensor.storage.key);
      if (content === undefined)
        throw errors.fault(
          'corrupt',
          `byte ${keys.end}`,
          `storage ${quoted(tensor.storage.key)} is not in the file`,
        );
      return copies.bytesOf(tensor, content);
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

function readStorages(
  bytes: Uint8Array,
  errors: CheckpointErrors,
  storages: StorageTable,
  keys: PickleValue,
  start: number,
): Map<string, Uint8Array> {
  if (keys === null || typeof keys !== 'object' || keys.kind !== 'list')
    throw errors.fault('corrupt', `byte ${start}`, `a ${kindOf(keys)} in place of the list of storages`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const byKey = new Map([...storages.all()].map((storage) => [storage.key, storage]));
  const contents = new Map<string, Uint8Array>();
  let at = start;
  for (const key of keys.items) {
    const storage = typeof key === 'string' ? byKey.get(key) : undefined;
    if (storage === undefined || contents.has(storage.key))
      throw errors.fault(
        'corrupt',
        `byte ${start}`,
        'the list of storages names one twice, or one that no tensor uses',
      );
    if (at + LENGTH_FIELD > bytes.length)
      throw errors.fault(
        'truncated',
        `byte ${at}`,
        `the length of storage ${quoted(storage.key)} is missing`,
      );
    const size = storage.dtype === null ? 1 : dtypeFacts(storage.dtype).bits / 8;
    const claimed = view.getBigInt64(at, true);
    if (claimed !== BigInt(storage.byteLength / size))
      throw errors.fault(
        'corrupt',
        `byte ${at}`,
        `storage ${quoted(storage.key)} has ${claimed} elements here and ${storage.byteLength / size} in the object`,
      );
    at += LENGTH_FIELD;
    if (at + storage.byteLength > bytes.length)
      throw errors.fault(
        'truncated',
        `byte ${at}`,
        `storage ${quoted(storage.key)} needs ${storage.byteLength} bytes, ${bytes.length - at} are left`,
      );
    contents.set(storage.key, bytes.subarray(at, at + storage.byteLength));
    at += storage.byteLength;
  }
  if (at !== bytes.length)
    throw errors.fault('corrupt', `byte ${at}`, `${bytes.length - at} bytes behind the last storage`);
  return contents;
}
