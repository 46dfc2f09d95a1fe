import type { ByteSource } from '../byteSource.js';
import { type CheckpointErrors, quoted } from '../checkpointError.js';
import { MAX_PICKLE_BYTES } from '../limits.js';
import { PickleMachine } from './pickleMachine.js';
import type { PickleValue, PyTensor } from './pickleValues.js';
import { readStorageId, StorageTable } from './pytorchStorage.js';
import { contiguousBytes, swapped, swapWidth } from './tensorView.js';
import { ZipArchive, type ZipMember } from './zipReader.js';

/** An object saved by PyTorch, with the contiguous little-endian bytes of its tensors on demand. */
export interface PyTorchFile {
  readonly root: PickleValue;
  /** Bytes of all storages together. */
  readonly storageBytes: number;
  /** Bytes of a tensor of `root`, read from the file. Throws a typed error where a storage is damaged. */
  readonly bytesOf: (tensor: PyTensor) => Uint8Array;
}

/**
 * Reads the zip form (PyTorch >= 1.6): `ROOT/data.pkl` describes the object, `ROOT/data/KEY` holds the storages,
 * `ROOT/byteorder` their byte order. Other members are ignored.
 */
export function readPyTorchZip(source: ByteSource, errors: CheckpointErrors): PyTorchFile {
  const archive = new ZipArchive(source, errors);
  const roots = [...archive.members.keys()].filter((name) => /^[^/]+\/data\.pkl$/.test(name));
  if (roots.length > 1)
    throw errors.fault(
      'corrupt',
      'zip directory',
      `${roots.length} objects: ${roots.slice(0, 3).map(quoted).join(', ')}`,
    );
  if (roots.length === 0)
    throw errors.fault(
      'unsupported',
      'zip directory',
      'a zip archive without data.pkl: it is no PyTorch checkpoint',
    );
  const root = roots[0].slice(0, -'/data.pkl'.length);
  if (archive.members.has(`${root}/constants.pkl`))
    throw errors.fault(
      'unsupported',
      'zip directory',
      'a TorchScript archive (it has constants.pkl), not a state dict',
    );
  const pickle = member(archive, `${root}/data.pkl`);
  if (pickle === undefined || pickle.size > MAX_PICKLE_BYTES)
    throw errors.fault(
      'too_large',
      quoted(roots[0]),
      `${pickle?.size} bytes, at most ${MAX_PICKLE_BYTES} are read`,
    );
  const isBigEndian = readByteOrder(archive, root, errors);

  const storages = new StorageTable(errors);
  const recordOf = (key: string): ZipMember | undefined => member(archive, `${root}/data/${key}`);
  const stream = roots[0];
  const content = archive.read(pickle);
  const machine = new PickleMachine(content, {
    errors,
    stream,
    persistent: (value, where) => {
      const id = readStorageId(errors, where, value);
      return storages.get(id, where, () => {
        const record = recordOf(id.key);
        if (record === undefined)
          throw errors.fault('corrupt', where, `storage ${quoted(id.key)} has no member in the archive`);
        if (record.size !== id.byteLength)
          throw errors.fault(
            'corrupt',
            where,
            `storage ${quoted(id.key)} has ${id.byteLength} bytes, its member ${quoted(record.name)} has ${record.size}`,
          );
      });
    },
  });
  const { value, end } = machine.run(0);
  if (end !== content.length)
    throw errors.fault(
      'corrupt',
      `${stream}, byte ${end}`,
      `${content.length - end} bytes behind the end of the pickle`,
    );

  let storageBytes = 0;
  for (const storage of storages.all()) storageBytes += storage.byteLength;
  const bytesOf = (tensor: PyTensor): Uint8Array => {
    const record = recordOf(tensor.storage.key);
    if (record === undefined)
      throw errors.fault('corrupt', quoted(tensor.storage.key), 'the storage has no member in the archive');
    const width = isBigEndian ? swapWidth(tensor.storage, tensor.dtype) : 1;
    return contiguousBytes(tensor, (from, length) => {
      const part = archive.readPart(record, from, length);
      return width > 1 ? swapped(part, width) : part;
    });
  };
  return { root: value, storageBytes, bytesOf };
}

function member(archive: ZipArchive, name: string): ZipMember | undefined {
  return archive.members.get(name);
}

function readByteOrder(archive: ZipArchive, root: string, errors: CheckpointErrors): boolean {
  const record = member(archive, `${root}/byteorder`);
  if (record === undefined) return false;
  const text = record.size > 16 ? '' : Buffer.from(archive.read(record)).toString('latin1').trim();
  if (text === 'big') return true;
  if (text === 'little') return false;
  throw errors.fault('corrupt', quoted(record.name), 'expected "little" or "big"');
}
