import { type CheckpointErrors, quoted } from './checkpointError.js';
import { MAX_DEPTH, MAX_NAME_LENGTH, MAX_NAMES_TEXT, MAX_PICKLE_OBJECTS, MAX_TENSORS } from './limits.js';
import type { PickleValue, PyOpaque, PyTensor } from './pytorch/pickleValues.js';

/** A tensor, or an object that was left out, with its place in the tree: keys and list positions joined by dots. */
export interface Leaf {
  readonly name: string;
  readonly value: PyTensor | PyOpaque;
}

/** Values directly inside a container; none for a leaf. */
function* valuesIn(value: PickleValue): Generator<PickleValue> {
  if (value === null || typeof value !== 'object') return;
  if (value.kind === 'list' || value.kind === 'tuple') yield* value.items;
  else if (value.kind === 'dict') for (const [, item] of value.entries.values()) yield item;
}

/** The wanted children of a container, each with the part of the name that leads to it. */
function childrenOf(value: PickleValue, isWanted: (child: PickleValue) => boolean): [string, PickleValue][] {
  const children: [string, PickleValue][] = [];
  if (value === null || typeof value !== 'object') return children;
  if (value.kind === 'list' || value.kind === 'tuple') {
    value.items.forEach((item, i) => {
      if (isWanted(item)) children.push([String(i), item]);
    });
  } else if (value.kind === 'dict') {
    for (const [key, item] of value.entries.values()) if (isWanted(item)) children.push([keyName(key), item]);
  }
  return children;
}

function keyName(key: PickleValue): string {
  if (key !== null && typeof key === 'object') {
    if (key.kind === 'float') return String(key.value);
    if (key.kind === 'tuple') return `(${key.items.slice(0, 8).map(keyName).join(', ')})`;
    return key.kind;
  }
  if (key === null) return 'None';
  if (typeof key === 'boolean') return key ? 'True' : 'False';
  return String(key);
}

function isLeaf(value: PickleValue): value is PyTensor | PyOpaque {
  return value !== null && typeof value === 'object' && (value.kind === 'tensor' || value.kind === 'opaque');
}

/**
 * Containers below which there is a tensor or an opaque object. Each is looked at once, so that structures which share
 * their parts (2^60 paths in a few hundred bytes) take no time. Throws unsupported for a container that holds itself
 * and a leaf, too_large beyond the depth limit.
 */
function fruitful(root: PickleValue, errors: CheckpointErrors): Set<PickleValue> {
  const parents = new Map<PickleValue, PickleValue[]>();
  const found = new Set<PickleValue>();
  const work: { value: PickleValue; depth: number }[] = [{ value: root, depth: 0 }];
  const seen = new Set<PickleValue>([root]);
  let edges = 0;
  const leaves: PickleValue[] = [];
  for (let item = work.pop(); item !== undefined; item = work.pop()) {
    if (isLeaf(item.value)) leaves.push(item.value);
    if (item.depth > MAX_DEPTH)
      throw errors.fault('too_large', '', `containers nested deeper than ${MAX_DEPTH}`);
    for (const child of valuesIn(item.value)) {
      if (child === null || typeof child !== 'object') continue;
      if (++edges > 4 * MAX_PICKLE_OBJECTS) throw errors.fault('too_large', '', 'too many nested values');
      const before = parents.get(child);
      if (before === undefined) parents.set(child, [item.value]);
      else before.push(item.value);
      if (seen.has(child)) continue;
      seen.add(child);
      work.push({ value: child, depth: item.depth + 1 });
    }
  }
  for (let value = leaves.pop(); value !== undefined; value = leaves.pop())
    for (const parent of parents.get(value) ?? [])
      if (!found.has(parent)) {
        found.add(parent);
        leaves.push(parent);
      }
  return found;
}

/**
 * Tensors and opaque objects of a tree in order, each with its joined name; a leaf at the root has the empty name.
 * Throws corrupt where two leaves have one name, unsupported for a cycle or a tensor of an unreadable kind.
 */
export function flattenTree(root: PickleValue, errors: CheckpointErrors): Leaf[] {
  if (isLeaf(root)) return [checked({ name: '', value: root }, errors)];
  const wanted = fruitful(root, errors);
  const leaves: Leaf[] = [];
  const names = new Set<string>();
  const path = new Set<PickleValue>();
  let characters = 0;
  const stack: { value: PickleValue; prefix: string; children: [string, PickleValue][]; next: number }[] = [];
  // A container that is reached by many paths is searched once.
  const childrenBy = new Map<PickleValue, [string, PickleValue][]>();
  const enter = (value: PickleValue, prefix: string): void => {
    if (path.has(value)) throw errors.fault('unsupported', quoted(prefix), 'a container that holds itself');
    if (stack.length > MAX_DEPTH || prefix.length > MAX_NAME_LENGTH)
      throw errors.fault(
        'too_large',
        quoted(prefix),
        `a name longer than ${MAX_NAME_LENGTH} characters or ${MAX_DEPTH} parts`,
      );
    path.add(value);
    const children =
      childrenBy.get(value) ?? childrenOf(value, (child) => isLeaf(child) || wanted.has(child));
    childrenBy.set(value, children);
    stack.push({ value, prefix, children, next: 0 });
  };
  if (wanted.has(root)) enter(root, '');
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    if (top.next === top.children.length) {
      path.delete(top.value);
      stack.pop();
      continue;
    }
    const [part, child] = top.children[top.next++];
    const name = stack.length === 1 ? part : `${top.prefix}.${part}`;
    if (isLeaf(child)) {
      if (names.has(name))
        throw errors.fault('corrupt', quoted(name), 'two tensors or objects have this name');
      characters += name.length;
      if (leaves.length >= MAX_TENSORS || characters > MAX_NAMES_TEXT)
        throw errors.fault(
          'too_large',
          '',
          `more than ${MAX_TENSORS} tensors, or ${MAX_NAMES_TEXT} characters of names`,
        );
      names.add(name);
      leaves.push(checked({ name, value: child }, errors));
    } else enter(child, name);
  }
  return leaves;
}

function checked(leaf: Leaf, errors: CheckpointErrors): Leaf {
  if (leaf.value.kind === 'opaque' && leaf.value.refuse !== undefined)
    throw errors.fault(
      'unsupported',
      quoted(leaf.name),
      `a ${leaf.value.refuse} tensor; only dense tensors can be read`,
    );
  return leaf;
}
