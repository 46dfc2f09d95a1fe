import type { Random } from '../../src/core/random.js';
import { mutateBytes } from './mutate.js';

type Parent = Record<string, unknown> | unknown[];

const VALUES: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  1,
  0.5,
  1e9,
  2 ** 31,
  2 ** 53,
  1e308,
  '',
  'x',
  '../x',
  '/etc/passwd',
  '__proto__',
  'float16',
  'int32',
  'string',
  [],
  {},
  [0],
  [1e9, 1e9],
];

/** Changes values, names and lists of a JSON text, or its bytes. */
export function mutateJson(text: string, random: Random): string {
  if (random.next() < 0.25) return Buffer.from(mutateBytes(Buffer.from(text), random)).toString('latin1');
  let root: unknown;
  try {
    root = JSON.parse(text);
  } catch {
    return Buffer.from(mutateBytes(Buffer.from(text), random)).toString('latin1');
  }
  const count = 1 + random.integer(3);
  for (let i = 0; i < count; i++) {
    let parent = root as Parent;
    let keys = Object.keys(parent);
    let key = keys[random.integer(Math.max(1, keys.length))];
    for (let depth = 0; depth < 12 && key !== undefined; depth++) {
      const child = (parent as Record<string, unknown>)[key];
      if (child === null || typeof child !== 'object' || random.next() < 0.15) break;
      const inner = Object.keys(child);
      if (inner.length === 0) break;
      parent = child as Parent;
      keys = inner;
      key = keys[random.integer(keys.length)];
    }
    if (key === undefined) continue;
    const target = parent as Record<string, unknown>;
    const value: unknown = structuredClone(VALUES[random.integer(VALUES.length)]);
    switch (random.integer(6)) {
      case 0:
        if (Array.isArray(parent)) parent.splice(Number(key), 1);
        else delete target[key];
        break;
      case 1:
        if (Array.isArray(parent)) parent.push(structuredClone(parent[Number(key)]));
        else target[`${key}x`] = structuredClone(target[key]);
        break;
      case 2:
        if (typeof target[key] === 'number') target[key] = (target[key] as number) * 2 ** random.integer(40);
        break;
      case 3: {
        let nested: unknown = value;
        for (let depth = 1 << random.integer(12); depth > 0; depth--) nested = [nested];
        target[key] = random.next() < 0.2 ? nested : value;
        break;
      }
      default:
        target[key] = value;
    }
  }
  return JSON.stringify(root) ?? 'null';
}
