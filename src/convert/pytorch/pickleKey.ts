import type { PickleValue } from './pickleValues.js';

/** Characters that a level of nesting takes from the limit, so that recursion stays shallow. */
const LEVEL_COST = 64;

/**
 * Text that identifies a hashable value as Python's dict does: 1, 1.0 and True are one key. Null for a value that is not
 * hashable (list, dict) or whose text would be longer than `limit` (tuples may hold each other in doublings).
 */
export function keyText(value: PickleValue, limit: number): string | null {
  if (value === null) return 'none';
  if (typeof value === 'string') return value.length < limit ? `s${value}` : null;
  if (typeof value === 'boolean') return value ? 'n1' : 'n0';
  if (typeof value === 'number' || typeof value === 'bigint') return `n${value}`;
  switch (value.kind) {
    case 'float':
      return `n${Object.is(value.value, -0) ? 0 : value.value}`;
    case 'bytes':
      return value.data.length * 2 < limit ? `b${Buffer.from(value.data).toString('hex')}` : null;
    case 'dtype':
      return `d${value.dtype}`;
    case 'global':
      return `g${value.name}`;
    case 'tuple': {
      let text = 't';
      for (const item of value.items) {
        const part = keyText(item, limit - text.length - LEVEL_COST);
        if (part === null) return null;
        text += `${part.length}:${part}`;
      }
      return text.length < limit ? text : null;
    }
    default:
      return null;
  }
}
