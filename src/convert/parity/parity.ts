import { FactError } from '../../core/errors.js';
import { castFloats, type FloatDType, toFloat32 } from '../castTensor.js';
import { type DType, dtypeFacts, type NamedTensor } from '../dtypes.js';

/** How a written checkpoint compares with what it was made from. */
export interface Parity {
  readonly tensors: number;
  /** Tensors whose bytes are the same. */
  readonly identical: number;
  /** Largest ||written - source|| / ||source|| of a tensor, and its name; null where all are identical. */
  readonly worst: { readonly name: string; readonly relativeError: number } | null;
  readonly tolerance: number;
}

/** Relative error that rounding to a type explains: half a unit in the last place; none for what holds float32 exactly. */
const TOLERANCES: Readonly<Partial<Record<DType, number>>> = { float16: 2 ** -10, bfloat16: 2 ** -8 };

function difference(source: Float32Array, found: Float32Array): number {
  let gap = 0;
  let norm = 0;
  source.forEach((value, i) => {
    if (!Object.is(value, found[i])) gap += (value - found[i]) ** 2;
    norm += value ** 2;
  });
  if (gap === 0) return 0;
  return norm > 0 ? Math.sqrt(gap / norm) : Number.POSITIVE_INFINITY;
}

/**
 * Compares tensors by name. Throws FactError E_PARITY for a tensor that is missing, or further off than rounding to
 * `dtype` (or from the source's own type to float32) explains.
 */
export function compareTensors(
  file: string,
  source: readonly NamedTensor[],
  written: readonly NamedTensor[],
  dtype: FloatDType | undefined,
): Parity {
  const fail = (what: string): FactError =>
    new FactError({
      code: 'E_PARITY',
      message: `${file}: ${what}`,
      remedy: 'Convert again; if it stays so, report it with the checkpoint.',
    });
  const byName = new Map(written.map((tensor) => [tensor.name, tensor]));
  const tolerance = dtype === undefined ? 0 : (TOLERANCES[dtype] ?? 0);
  let identical = 0;
  let worst: Parity['worst'] = null;
  for (const tensor of source) {
    const found = byName.get(tensor.name);
    if (found === undefined || String(found.shape) !== String(tensor.shape))
      throw fail(`tensor "${tensor.name}" is missing or has another shape`);
    if (found.dtype === tensor.dtype && Buffer.compare(found.bytes, tensor.bytes) === 0) {
      identical++;
      continue;
    }
    if (dtypeFacts(tensor.dtype).bits < 8 || tensor.dtype === found.dtype) {
      if (tolerance === 0) throw fail(`tensor "${tensor.name}" differs`);
    }
    const wanted = dtype === 'float32' ? castFloats(tensor, 'float32') : tensor;
    const relativeError = difference(toFloat32(wanted), toFloat32(found));
    if (worst === null || relativeError > worst.relativeError) worst = { name: tensor.name, relativeError };
    if (!(relativeError <= tolerance))
      throw fail(
        `tensor "${tensor.name}" differs by ${relativeError.toExponential(1)}, rounding explains ${tolerance}`,
      );
  }
  return { tensors: source.length, identical, worst, tolerance };
}
