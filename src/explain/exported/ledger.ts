/*
 * Ledgers inside an exported graph, in float64 as `ledger.ts` forms them: four numbers,
 *
 *     left, sum of all terms, residual = left - sum, relative error = |residual| / sum of |terms|
 *
 * (0 where the residual is 0; infinite where a number is not finite.)
 */
import type { GraphEditor } from '../../engine/onnx/edit.js';
import { ONNX_TYPE } from '../../engine/onnx/graph.js';

/** Meaning of the last axis of a ledger. */
export const LEDGER_COLUMNS = ['left', 'sum', 'residual', 'relative_error'] as const;

export interface LedgerTerms {
  readonly value: string;
  /** Axes over which the terms are summed. */
  readonly axes: readonly number[];
}

const asDouble = (editor: GraphEditor, value: string): string =>
  editor.node('Cast', [value], { to: ONNX_TYPE.float64 });

const sumOver = (editor: GraphEditor, value: string, axes: readonly number[]): string =>
  editor.node('ReduceSum', [value, editor.ints(...axes)], { keepdims: 0 });

/** The score of the target before the bias, as float64 [N]: weights and scores [N, classes]. */
export function targetScore(editor: GraphEditor, target: string, scores: string): string {
  const products = editor.node('Mul', [asDouble(editor, target), asDouble(editor, scores)]);
  return sumOver(editor, products, [1]);
}

/**
 * Adds a ledger of the float64 value `left` (any shape) and terms that sum to its shape.
 * @returns `output`: the shape of `left`, and 4 columns
 */
export function addLedger(
  editor: GraphEditor,
  left: string,
  terms: readonly LedgerTerms[],
  output: string,
): string {
  const sums = terms.map(({ value, axes }) => {
    const double = asDouble(editor, value);
    return {
      sum: sumOver(editor, double, axes),
      absolute: sumOver(editor, editor.node('Abs', [double]), axes),
    };
  });
  const total = sums.map(({ sum }) => sum).reduce((a, b) => editor.node('Add', [a, b]));
  const absolute = sums.map((one) => one.absolute).reduce((a, b) => editor.node('Add', [a, b]));
  const residual = editor.node('Sub', [left, total]);
  const ratio = editor.node('Div', [editor.node('Abs', [residual]), absolute]);
  const zero = editor.float64(0);
  const infinite = editor.float64(Number.POSITIVE_INFINITY);
  const isClosed = editor.node('Equal', [residual, zero]);
  const known = editor.node('Where', [editor.node('IsNaN', [ratio]), infinite, ratio]);
  const error = editor.node('Where', [isClosed, zero, known]);
  const columns = [left, total, residual, error].map((value) =>
    editor.node('Unsqueeze', [value, editor.ints(-1)]),
  );
  return editor.node('Concat', columns, { axis: -1 }, output);
}

/** Values of a table [N, K] at ids [N, J], as float64. */
export function valuesAt(editor: GraphEditor, table: string, ids: string): string {
  return asDouble(editor, editor.node('GatherElements', [table, ids], { axis: 1 }));
}
