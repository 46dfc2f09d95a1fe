import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { FactError, messageOf, systemCodeOf } from '../core/errors.js';
import { CheckpointErrors } from './checkpointError.js';
import type { NamedTensor } from './dtypes.js';
import { flattenTree } from './flattenTree.js';
import { MAX_FILE_BYTES } from './limits.js';
import type { PickleValue } from './pickleValues.js';
import { looksLikeLegacy, readPyTorchLegacy } from './pytorchLegacy.js';
import { type PyTorchFile, readPyTorchZip } from './pytorchZip.js';
import { looksLikeSafetensors, readSafetensors } from './safetensors.js';

export type CheckpointFormat = 'pytorch-zip' | 'pytorch-legacy' | 'safetensors';

/** Everything that a checkpoint file holds. */
export interface Checkpoint {
  readonly format: CheckpointFormat;
  /** Tensors in the file's order; names joined by dots. */
  readonly tensors: readonly NamedTensor[];
  /** PyTorch: the saved object; tensors in it have no bytes. Null for safetensors. */
  readonly tree: PickleValue;
  /** safetensors: `__metadata__`. */
  readonly metadata: ReadonlyMap<string, string>;
  /** Objects of the file that were not read, with their class. */
  readonly skipped: readonly { readonly name: string; readonly className: string }[];
  readonly fileBytes: number;
}

/** Reads a whole file that the caller named. Throws FactError E_NOT_FOUND, E_READ, E_CKPT_TOO_LARGE. */
export function readFileChecked(path: string): Uint8Array {
  try {
    const handle = openSync(path, 'r');
    try {
      const status = fstatSync(handle);
      if (!status.isFile())
        throw new FactError({
          code: 'E_READ',
          message: `${path} is ${status.isDirectory() ? 'a folder' : 'no regular file'}, expected a checkpoint file`,
          remedy: 'Name a .pth, .pt, .ckpt or .safetensors file.',
        });
      if (status.size > MAX_FILE_BYTES)
        throw new CheckpointErrors(path).fault(
          'too_large',
          '',
          `${status.size} bytes, at most ${MAX_FILE_BYTES} can be read`,
          'Save the state dict alone, without optimiser state, or in half precision.',
        );
      const bytes = new Uint8Array(status.size);
      let filled = 0;
      while (filled < bytes.length) {
        const count = readSync(handle, bytes, filled, bytes.length - filled, filled);
        if (count === 0)
          throw new CheckpointErrors(path).fault('truncated', `byte ${filled}`, 'the file became shorter');
        filled += count;
      }
      return bytes;
    } finally {
      closeSync(handle);
    }
  } catch (error) {
    if (error instanceof FactError) throw error;
    const isMissing = systemCodeOf(error) === 'ENOENT' || systemCodeOf(error) === 'ENOTDIR';
    throw new FactError({
      code: isMissing ? 'E_NOT_FOUND' : 'E_READ',
      message: isMissing ? `there is no file ${path}` : `cannot read ${path}: ${messageOf(error)}`,
      remedy: isMissing ? 'Check the path.' : 'Check the permissions of the file.',
      cause: error,
    });
  }
}

/** Beginnings of files that are often saved under a checkpoint's name by mistake. */
function wrongKind(bytes: Uint8Array): string | undefined {
  const head = Buffer.from(bytes.subarray(0, 512)).toString('latin1');
  if (/^\s*(<!doctype|<html|<\?xml|<head|<body)/i.test(head))
    return 'an HTML or XML page, perhaps the error page of a server';
  if (head.startsWith('version https://git-lfs'))
    return 'a git-lfs pointer, not the file itself (run `git lfs pull`)';
  if (head.slice(257, 262) === 'ustar') return 'a tar archive';
  if (head.startsWith("7z\xbc\xaf'\x1c")) return 'a 7z archive';
  if (head.startsWith('\x1f\x8b')) return 'a gzip file';
  if (head.startsWith('\x89HDF')) return 'an HDF5 file';
  if (head.startsWith('Rar!')) return 'a RAR archive';
  if (head.startsWith('\x80')) return 'a bare pickle without the form of a PyTorch checkpoint';
  return undefined;
}

/** Reads a checkpoint from bytes; `name` is the file's name for errors. The content decides the format, never the name. */
export function parseCheckpoint(bytes: Uint8Array, name: string): Checkpoint {
  const errors = new CheckpointErrors(name);
  if (bytes.length === 0) throw errors.fault('truncated', '', 'the file is empty');
  if (bytes[0] === 0x50 && bytes[1] === 0x4b)
    return fromPyTorch('pytorch-zip', readPyTorchZip(bytes, errors), bytes.length, errors);
  if (looksLikeLegacy(bytes))
    return fromPyTorch('pytorch-legacy', readPyTorchLegacy(bytes, errors), bytes.length, errors);
  const kind = wrongKind(bytes);
  if (looksLikeSafetensors(bytes) || (kind === undefined && name.toLowerCase().endsWith('.safetensors'))) {
    const { tensors, metadata } = readSafetensors(bytes, name);
    return { format: 'safetensors', tensors, tree: null, metadata, skipped: [], fileBytes: bytes.length };
  }
  if (bytes[0] === 0x80 && bytes.length < 32 && kind !== undefined)
    throw errors.fault('truncated', '', 'the file ends within its first bytes');
  throw errors.fault(
    'unsupported',
    'byte 0',
    `expected a PyTorch or safetensors checkpoint, found ${kind ?? 'bytes of no known format'}`,
    'Download the file again, or unpack it first; expected: .pth, .pt, .ckpt (torch.save) or .safetensors.',
  );
}

function fromPyTorch(
  format: CheckpointFormat,
  file: PyTorchFile,
  fileBytes: number,
  errors: CheckpointErrors,
): Checkpoint {
  const tensors: NamedTensor[] = [];
  const skipped: { name: string; className: string }[] = [];
  for (const { name, value } of flattenTree(file.root, errors)) {
    if (value.kind === 'opaque') skipped.push({ name, className: value.className });
    else tensors.push({ name, dtype: value.dtype, shape: value.shape, bytes: file.bytesOf(value) });
  }
  return { format, tensors, tree: file.root, metadata: new Map(), skipped, fileBytes };
}

/**
 * Reads a PyTorch (.pth, .pt, .ckpt; zip or legacy form) or safetensors checkpoint. Nothing in it is executed and no
 * other file is opened. Throws FactError E_CKPT_UNSAFE, _TRUNCATED, _CORRUPT, _UNSUPPORTED, _TOO_LARGE, E_NOT_FOUND,
 * E_READ.
 */
export async function readCheckpoint(path: string): Promise<Checkpoint> {
  return parseCheckpoint(readFileChecked(path), path);
}
