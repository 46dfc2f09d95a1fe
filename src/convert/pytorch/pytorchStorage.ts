import { type CheckpointErrors, quoted } from '../checkpointError.js';
import { type DType, dtypeFacts } from '../dtypes.js';
import { storageDType } from './pickleGlobals.js';
import { kindOf, type PickleValue, type PyStorage } from './pickleValues.js';

/** The fields of the persistent id `('storage', storage class, key, location, number of elements, view)`. */
export interface StorageId {
  readonly dtype: DType | null;
  readonly key: string;
  readonly byteLength: number;
  /** Legacy files: `(key of the view, offset, elements)`; null for none. */
  readonly view: PickleValue;
}

/** Reads a persistent id; the location (`cpu`, `cuda:3`) is ignored. Throws corrupt. */
export function readStorageId(errors: CheckpointErrors, where: string, id: PickleValue): StorageId {
  const fail = (what: string): Error => errors.fault('corrupt', where, what);
  if (id === null || typeof id !== 'object' || id.kind !== 'tuple' || id.items[0] !== 'storage')
    throw fail('a persistent id that is not a tensor storage');
  if (id.items.length < 5 || id.items.length > 6) throw fail(`a storage id of ${id.items.length} fields`);
  const [, type, key, , numel, view] = id.items;
  const dtype = storageDType(type);
  if (dtype === undefined) throw fail(`a storage id with a ${kindOf(type)} in place of a storage class`);
  if (typeof key !== 'string') throw fail('a storage id without a key');
  const byteLength =
    typeof numel === 'number' ? numel * (dtype === null ? 1 : dtypeFacts(dtype).bits / 8) : Number.NaN;
  if (!Number.isSafeInteger(byteLength) || byteLength < 0)
    throw fail(
      `storage ${quoted(key)} claims ${typeof numel === 'object' ? kindOf(numel) : String(numel)} elements`,
    );
  return { dtype, key, byteLength, view: view ?? null };
}

/** The storages of a file by key: one key has one element type and one length. */
export class StorageTable {
  private readonly known = new Map<string, PyStorage>();

  constructor(private readonly errors: CheckpointErrors) {}

  /** The storage of this key, added at its first use by `check`. Throws corrupt where two uses contradict each other. */
  get(id: StorageId, where: string, check: () => void): PyStorage {
    const before = this.known.get(id.key);
    if (before === undefined) {
      check();
      const { key, dtype, byteLength } = id;
      const storage: PyStorage = { kind: 'storage', key, dtype, byteLength, byteOffset: 0 };
      this.known.set(key, storage);
      return storage;
    }
    if (before.dtype !== id.dtype || before.byteLength !== id.byteLength)
      throw this.errors.fault(
        'corrupt',
        where,
        `storage ${quoted(id.key)} is used as ${id.dtype ?? 'bytes'} (${id.byteLength} bytes) and as ${before.dtype ?? 'bytes'} (${before.byteLength} bytes)`,
      );
    return before;
  }

  all(): IterableIterator<PyStorage> {
    return this.known.values();
  }
}
