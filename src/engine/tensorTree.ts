import * as tf from '@tensorflow/tfjs';
import { FactError } from '../core/errors.js';

/** What a compiled function may return: a tensor, or lists and plain objects of tensors, nested. */
export type TensorTree = tf.Tensor | readonly TensorTree[] | { readonly [name: string]: TensorTree };

/** The form of a tree: each tensor is replaced by its place in the flat list. */
export type TreeForm = number | readonly TreeForm[] | { readonly [name: string]: TreeForm };

/** A tree taken apart. */
export interface FlatTree {
  readonly form: TreeForm;
  readonly tensors: readonly tf.Tensor[];
  /** Where each tensor stood: `logits`, `maps[0]`, or `result` for a tree that is one tensor. */
  readonly paths: readonly string[];
}

/** Splits a tree into its form and its tensors. Throws FactError E_TRACE_RESULT for anything else than tensors. */
export function flattenTree(tree: TensorTree): FlatTree {
  const tensors: tf.Tensor[] = [];
  const paths: string[] = [];
  const visit = (node: unknown, path: string): TreeForm => {
    if (node instanceof tf.Tensor) {
      paths.push(path || 'result');
      return tensors.push(node) - 1;
    }
    if (Array.isArray(node)) return node.map((item, i) => visit(item, `${path || 'result'}[${i}]`));
    if (node !== null && typeof node === 'object' && !(node instanceof Promise)) {
      const child = (name: string): string => (path ? `${path}.${name}` : name);
      return Object.fromEntries(Object.entries(node).map(([name, item]) => [name, visit(item, child(name))]));
    }
    const what = node instanceof Promise ? 'a promise' : node === null ? 'null' : `a ${typeof node}`;
    throw new FactError({
      code: 'E_TRACE_RESULT',
      message: `the function to compile returned ${what} as ${path || 'result'}, expected a tensor`,
      remedy: 'Return tensors, or lists and plain objects of tensors; the function must not be async.',
    });
  };
  return { form: visit(tree, ''), tensors, paths };
}

/** Puts tensors back into a form made by `flattenTree`. */
export function buildTree(form: TreeForm, tensors: readonly tf.Tensor[]): TensorTree {
  if (typeof form === 'number') return tensors[form];
  if (Array.isArray(form)) return form.map((item: TreeForm) => buildTree(item, tensors));
  return Object.fromEntries(
    Object.entries(form).map(([name, item]) => [name, buildTree(item as TreeForm, tensors)]),
  );
}
