/*
 * From the traced program to the graph of an exported file. Added to what was traced:
 *
 *     class_weights [1 or N, classes], concepts [1 or N, J]   repeated for all images where there is one row
 *     concepts that are negative: -1 is the concept with the largest |contribution|, -2 the next, ...
 *     ledgers in float64; one pass of a `Loop` for each chosen concept; `If` around what is not asked for
 */
import { GraphEditor } from '../../engine/onnx/edit.js';
import { type GraphParts, type GraphPort, ONNX_TYPE } from '../../engine/onnx/graph.js';
import { loopOverColumns } from '../../engine/onnx/loopColumns.js';
import { makeOptional, type OutputGroup } from '../../engine/onnx/optionalOutputs.js';
import { addLedger, LEDGER_COLUMNS, type LedgerTerms, targetScore, valuesAt } from './ledger.js';

/** Names of the traced function's arguments; the file's inputs take their place. */
export const TRACED = { image: 'image', target: 'traced_target', column: 'traced_column' } as const;

/** Which outputs each optional group has, by the name of the flag that asks for it. */
export const GROUPS = {
  want_contributions: ['contributions', 'bias_terms', 'ledger_contributions'],
  want_class_map: ['class_map', 'class_gradient', 'class_map_bias_terms', 'ledger_class_map'],
  want_concept_maps: ['concept_maps', 'concept_map_bias_terms', 'ledger_concept_maps'],
  want_traces: ['traces', 'trace_presence', 'early_presence', 'ledger_traces'],
  want_alone: ['logits_alone'],
} as const;

/** Outputs made once for each chosen concept, by the prefix of what their loop adds. */
const LOOPS = [
  ['map_', ['concept_maps', 'concept_map_bias_terms']],
  ['trace_', ['traces']],
] as const;

/** Outputs of the traced function that only the graph itself needs. */
const INTERNAL = ['target'];

export interface GraphSizes {
  /** Images in a run, or the name of the free dimension. */
  readonly batch: number | string;
  readonly classes: number;
  /** Concepts of the autoencoder; null without one. */
  readonly concepts: number | null;
  /** Columns of the network's constants below and above the tap. */
  readonly lowerConstants: number;
  readonly upperConstants: number;
  /** Whether ledgers are formed in the graph, in float64. */
  readonly hasLedgers: boolean;
}

function has(parts: GraphParts, name: string): boolean {
  return parts.outputs.some((port) => port.name === name);
}

/** The batch size as an int64 list of one. */
function batchOf(editor: GraphEditor, imageName: string): string {
  return editor.node('Shape', [imageName], { start: 0, end: 1 });
}

/** An input of one row or N rows, as N rows. */
function repeatRows(editor: GraphEditor, input: string, batch: string, output: string): string {
  const shape = editor.node('Concat', [batch, editor.ints(1)], { axis: 0 });
  return editor.node('Expand', [input, shape], {}, output);
}

/** Concept numbers with ranks resolved: `ids` where some entry is negative, else the entries themselves. */
function addRanks(editor: GraphEditor, entries: string, latents: number): string {
  const sizes = editor.node('Abs', ['contributions']);
  const ranked: string[] = ['ranked_sizes', 'ranked_concepts'];
  editor.add({
    op: 'TopK',
    inputs: [sizes, editor.ints(latents)],
    outputs: ranked,
    attributes: { axis: 1, largest: 1, sorted: 1 },
  });
  const zero = editor.constant('int32', [], Int32Array.of(0));
  const last = editor.constant('int32', [], Int32Array.of(-1));
  const isRank = editor.node('Less', [entries, zero]);
  const places = editor.node('Where', [isRank, editor.node('Sub', [last, entries]), zero]);
  const found = editor.node('GatherElements', [ranked[1], places], { axis: 1 });
  const asInt = editor.node('Cast', [found], { to: ONNX_TYPE.int32 });
  return editor.node('Where', [isRank, asInt, entries], {}, 'resolved_concepts');
}

function anyNegative(editor: GraphEditor, entries: string): string {
  const zero = editor.constant('int32', [], Int32Array.of(0));
  const asNumber = editor.node('Cast', [editor.node('Less', [entries, zero])], { to: ONNX_TYPE.float32 });
  const count = editor.node('ReduceSum', [asNumber], { keepdims: 0 });
  return editor.node('Greater', [count, editor.constant('float32', [], Float32Array.of(0))]);
}

function ledgerPort(name: string, batch: number | string, ...more: readonly string[]): GraphPort {
  return { name, type: 'float64', dims: [batch, ...more, LEDGER_COLUMNS.length] };
}

/** Adds the ledgers of all groups that the graph has. */
function addLedgers(editor: GraphEditor, parts: GraphParts, sizes: GraphSizes): void {
  const score = targetScore(editor, 'target', 'scores');
  const above: LedgerTerms[] =
    sizes.upperConstants > 0
      ? [
          {
            value: editor.node('Slice', [
              'bias_terms',
              editor.ints(1),
              editor.ints(1 + sizes.upperConstants),
              editor.ints(1),
            ]),
            axes: [1],
          },
        ]
      : [];
  const below = (name: string, axis: number): LedgerTerms[] =>
    sizes.lowerConstants > 0 ? [{ value: name, axes: [axis] }] : [];
  const ledger = (
    name: string,
    left: string,
    terms: readonly LedgerTerms[],
    ...more: readonly string[]
  ): void => {
    addLedger(editor, left, terms, name);
    editor.output(ledgerPort(name, sizes.batch, ...more));
  };
  ledger('ledger_class_map', score, [
    { value: 'class_map', axes: [1, 2] },
    ...below('class_map_bias_terms', 1),
    ...above,
  ]);
  if (sizes.concepts !== null) {
    ledger('ledger_contributions', score, [{ value: 'contributions', axes: [1] }, ...above]);
    ledger(
      'ledger_concept_maps',
      valuesAt(editor, 'presence', 'resolved_concepts'),
      [{ value: 'concept_maps', axes: [2, 3] }, ...below('concept_map_bias_terms', 2)],
      'concepts',
    );
    if (has(parts, 'traces'))
      ledger(
        'ledger_traces',
        valuesAt(editor, 'trace_presence', 'resolved_concepts'),
        [{ value: 'traces', axes: [2] }],
        'concepts',
      );
  }
}

/** Turns the traced explanation into the graph of the file. */
export function explanationGraph(traced: GraphParts, sizes: GraphSizes): GraphParts {
  const { batch, classes, concepts } = sizes;
  const hasConcepts = concepts !== null;
  let parts = traced;
  if (hasConcepts) {
    const loop = { column: TRACED.column, table: 'resolved_concepts', dimension: 'concepts' };
    for (const [prefix, names] of LOOPS) {
      const outputs = names.filter((name) => has(parts, name));
      if (outputs.length > 0) parts = loopOverColumns(parts, { ...loop, outputs, prefix });
    }
  }
  const editor = new GraphEditor(parts, 'x');
  const rows = batchOf(editor, TRACED.image);
  editor.withoutInput(TRACED.target);
  editor.withoutInput(TRACED.column);
  editor.input({ name: 'class_weights', type: 'float32', dims: ['targets', classes] });
  repeatRows(editor, 'class_weights', rows, TRACED.target);
  const flags = Object.keys(GROUPS).filter((flag) =>
    GROUPS[flag as keyof typeof GROUPS].some((name) => has(parts, name) && name !== 'bias_terms'),
  );
  const groups: OutputGroup[] = [];
  if (hasConcepts) {
    editor.input({ name: 'concepts', type: 'int32', dims: ['choices', 'concepts'] });
    const entries = repeatRows(editor, 'concepts', rows, 'chosen_concepts');
    const resolved = addRanks(editor, entries, concepts);
    editor.node('Identity', [resolved], {}, 'concept_ids');
    editor.output({ name: 'concept_ids', type: 'int32', dims: [batch, 'concepts'] });
    const users = ['want_concept_maps', 'want_traces'].filter((flag) => flags.includes(flag));
    const isUsed = users.reduce((a, b) => editor.node('Or', [a, b]));
    groups.push({
      name: 'ranks',
      condition: editor.node('And', [isUsed, anyNegative(editor, entries)]),
      outputs: [],
      choices: [{ value: resolved, otherwise: entries }],
    });
  }
  if (sizes.hasLedgers) addLedgers(editor, parts, sizes);
  for (const name of INTERNAL) editor.withoutOutput(name);
  for (const flag of flags) {
    editor.input({ name: flag, type: 'bool', dims: [] });
    groups.push({ name: flag, condition: flag, outputs: GROUPS[flag as keyof typeof GROUPS] });
  }
  return makeOptional(editor.raw(), groups);
}
