import { CheckpointErrors } from '../../src/convert/checkpointError.js';
import { flattenTree } from '../../src/convert/flattenTree.js';
import type { PickleValue } from '../../src/convert/pytorch/pickleValues.js';
import type { Checkpoint } from '../../src/convert/readCheckpoint.js';
import { sha256 } from '../../src/core/hash.js';

/** A checkpoint's tree in the notation of the goldens' `tree` (see fact/README.md, "checkpoints"). */
export function treeInGoldenForm(checkpoint: Checkpoint): unknown {
  const bytes = new Map<PickleValue, string>();
  flattenTree(checkpoint.tree, new CheckpointErrors('tree')).forEach((leaf) => {
    const tensor = checkpoint.tensors.find((t) => t.name === leaf.name);
    if (tensor !== undefined) bytes.set(leaf.value, sha256(tensor.bytes));
  });
  const show = (value: PickleValue): unknown => {
    if (
      value === null ||
      typeof value === 'boolean' ||
      typeof value === 'number' ||
      typeof value === 'string'
    )
      return value;
    if (typeof value === 'bigint') return { type: 'bigint', value: String(value) };
    switch (value.kind) {
      case 'float':
        return showFloat(value.value);
      case 'bytes':
        return { type: 'bytes', hex: Buffer.from(value.data).toString('hex') };
      case 'list':
      case 'tuple':
        return { type: value.kind, items: value.items.map(show) };
      case 'set':
        return { type: 'set', items: [...value.entries.values()].map(show) };
      case 'dict':
        return { type: 'dict', items: [...value.entries.values()].map(([k, v]) => [show(k), show(v)]) };
      case 'tensor':
        return {
          type: 'tensor',
          dtype: value.dtype,
          shape: value.shape,
          sha256: bytes.get(value),
          ...(value.isParameter ? { parameter: true } : {}),
        };
      case 'ndarray':
        return value.isScalar
          ? { type: 'numpy_scalar', dtype: value.dtype, value: scalarOf(value.dtype, value.bytes) }
          : { type: 'ndarray', dtype: value.dtype, shape: value.shape, sha256: sha256(value.bytes) };
      case 'dtype':
        return { type: 'opaque', class: 'torch.dtype' };
      case 'opaque':
        return { type: 'opaque', class: value.className };
      default:
        return { type: value.kind };
    }
  };
  return show(checkpoint.tree);
}

/** Python's notation of floats that JSON would blur. */
function showFloat(value: number): unknown {
  if (Number.isNaN(value)) return { type: 'float', value: 'nan' };
  if (!Number.isFinite(value)) return { type: 'float', value: value > 0 ? 'inf' : '-inf' };
  if (Object.is(value, -0)) return { type: 'float', value: '-0.0' };
  if (!Number.isInteger(value)) return value;
  return { type: 'float', value: Math.abs(value) < 1e16 ? `${value}.0` : value.toExponential() };
}

function scalarOf(dtype: string, bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (dtype === 'float64') return view.getFloat64(0, true);
  if (dtype === 'float32') return view.getFloat32(0, true);
  return Number(view.getBigInt64(0, true));
}
