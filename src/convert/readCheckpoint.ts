import { dirname } from 'node:path';
import { type ByteSource, FileSource, MemorySource } from './byteSource.js';
import { CheckpointErrors } from './checkpointError.js';
import { lazyTensor, type NamedTensor } from './dtypes.js';
import { flattenTree } from './flattenTree.js';
import { ExternalFiles } from './onnx/externalData.js';
import { onnxUses } from './onnx/onnxUses.js';
import { looksLikeOnnx, readOnnx } from './onnx/readOnnx.js';
import type { PickleValue, PyTensor } from './pytorch/pickleValues.js';
import { looksLikeLegacy, readPyTorchLegacy } from './pytorch/pytorchLegacy.js';
import { type PyTorchFile, readPyTorchZip } from './pytorch/pytorchZip.js';
import { checkAmounts } from './pytorch/tensorView.js';
import type { WeightUse } from './recognise/structure.js';
import { looksLikeSafetensors, readSafetensors } from './safetensors.js';

export type CheckpointFormat =
  | 'pytorch-zip'
  | 'pytorch-legacy'
  | 'safetensors'
  | 'onnx'
  | 'tfjs-layers'
  | 'tfjs-graph';

/** Everything that a checkpoint file holds. */
export interface Checkpoint {
  readonly format: CheckpointFormat;
  /** Tensors in the file's order; names joined by dots. Of a file: their bytes are read at each access. */
  readonly tensors: readonly NamedTensor[];
  /** PyTorch: the saved object; tensors in it have no bytes. Null for safetensors. */
  readonly tree: PickleValue;
  /** safetensors: `__metadata__`. */
  readonly metadata: ReadonlyMap<string, string>;
  /** Objects of the file that were not read, with their class. */
  readonly skipped: readonly { readonly name: string; readonly className: string }[];
  readonly fileBytes: number;
  /** What is computed with the tensors, in order; absent where the file holds tensors only. */
  readonly uses?: readonly WeightUse[];
}

/** Beginnings of files that are often saved under a checkpoint's name by mistake. */
function wrongKind(start: Uint8Array): string | undefined {
  const head = Buffer.from(start).toString('latin1');
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

/** Bytes that tell the kinds of files apart. */
const HEAD_BYTES = 512;

/**
 * Reads a checkpoint from bytes in memory; `name` is the file's name for errors. The content decides the format, never
 * the name. `folder` is where an ONNX model's other files lie; null: such a model is refused.
 */
export function parseCheckpoint(bytes: Uint8Array, name: string, folder: string | null = null): Checkpoint {
  return parseSource(new MemorySource(bytes), name, folder);
}

function parseSource(source: ByteSource, name: string, folder: string | null): Checkpoint {
  const errors = new CheckpointErrors(name);
  if (source.size === 0) throw errors.fault('truncated', '', 'the file is empty');
  const head = source.read(0, Math.min(HEAD_BYTES, source.size));
  if (head[0] === 0x50 && head[1] === 0x4b)
    return fromPyTorch('pytorch-zip', readPyTorchZip(source, errors), source.size, errors);
  if (looksLikeLegacy(head))
    return fromPyTorch('pytorch-legacy', readPyTorchLegacy(source, errors), source.size, errors);
  const kind = wrongKind(head);
  const isNamedOnnx = kind === undefined && name.toLowerCase().endsWith('.onnx');
  if (looksLikeOnnx(head) || isNamedOnnx) return fromOnnx(source, folder, errors);
  if (
    looksLikeSafetensors(head, source.size) ||
    (kind === undefined && name.toLowerCase().endsWith('.safetensors'))
  ) {
    const { tensors, metadata } = readSafetensors(source, name);
    return {
      format: 'safetensors',
      tensors,
      tree: null,
      metadata,
      skipped: [],
      fileBytes: source.size,
    };
  }
  if (head[0] === 0x80 && source.size < 32 && kind !== undefined)
    throw errors.fault('truncated', '', 'the file ends within its first bytes');
  throw errors.fault(
    'unsupported',
    'byte 0',
    `expected a PyTorch, safetensors or ONNX file, found ${kind ?? 'bytes of no known format'}`,
    'Download the file again, or unpack it first; expected: .pth, .pt, .ckpt (torch.save), .safetensors or .onnx.',
  );
}

function fromPyTorch(
  format: CheckpointFormat,
  file: PyTorchFile,
  fileBytes: number,
  errors: CheckpointErrors,
): Checkpoint {
  const tensors: NamedTensor[] = [];
  const views: PyTensor[] = [];
  const skipped: { name: string; className: string }[] = [];
  const ties = new Map<string, object>();
  for (const { name, value } of flattenTree(file.root, errors)) {
    if (value.kind === 'opaque') {
      skipped.push({ name, className: value.className });
      continue;
    }
    const { storage, dtype, shape, stride, offset } = value;
    const key = JSON.stringify([storage.key, storage.byteOffset, dtype, offset, shape, stride]);
    const tie = ties.get(key) ?? {};
    ties.set(key, tie);
    views.push(value);
    tensors.push(lazyTensor(name, dtype, shape, () => file.bytesOf(value), tie));
  }
  checkAmounts(errors, views, file.storageBytes);
  return { format, tensors, tree: file.root, metadata: new Map(), skipped, fileBytes };
}

function fromOnnx(source: ByteSource, folder: string | null, errors: CheckpointErrors): Checkpoint {
  const files = folder === null ? null : new ExternalFiles(folder, errors);
  const graph = readOnnx(source, files, errors);
  const tensors = graph.initialisers.flatMap((name) => graph.constants.get(name) ?? []);
  return {
    format: 'onnx',
    tensors,
    tree: null,
    metadata: graph.metadata,
    skipped: [],
    fileBytes: source.size,
    uses: onnxUses(graph),
  };
}

/**
 * Reads the headers of a PyTorch (.pth, .pt, .ckpt; zip or legacy form), safetensors or ONNX file; tensors
 * are read from the file, and checked, when their bytes are asked for. Nothing in it is executed. No other file is opened,
 * but those beside an ONNX model that it keeps its numbers in. Throws FactError E_CKPT_UNSAFE, _TRUNCATED, _CORRUPT, _UNSUPPORTED, _TOO_LARGE, E_NOT_FOUND, E_READ.
 */
export async function readCheckpoint(path: string): Promise<Checkpoint> {
  const source = new FileSource(path, 'a .pth, .pt, .ckpt, .safetensors or .onnx file');
  return source.whileOpen(() => parseSource(source, path, dirname(path)));
}
