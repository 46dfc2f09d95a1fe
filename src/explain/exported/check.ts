/*
 * Proof of an exported file: one photograph through the file in onnxruntime, and through the program that it was made
 * of, operation by operation in this process, without graph, passes, `If` or `Loop`. Every output is compared, and the
 * file's own ledgers are read.
 */
import * as tf from '@tensorflow/tfjs';
import type { DecodedImage } from '../../data/decode.js';
import { evalTransform, toUnitRange } from '../../data/evalTransform.js';
import type { ExportedFile, OutputArray, Wish } from './file.js';
import { GROUPS } from './graph.js';
import { LEDGER_COLUMNS } from './ledger.js';
import { type ExportSource, explanationProgram, plainProgram } from './program.js';

/** Concepts whose maps are compared: the largest three. */
const RANKS = [-1, -2, -3];

export interface ExportCheck {
  /** For each output the norm of the difference, relative to the norm of what the program gives. */
  readonly differences: Readonly<Record<string, number>>;
  readonly largestDifference: number;
  /** The largest relative error of the file's ledgers; 0 where it has none. */
  readonly largestLedgerError: number;
}

/** [H, W, 3] bytes as [3, H, W] in [0, 1]. */
export function toPlanes(pixels: Uint8Array): Float32Array {
  const unit = toUnitRange(pixels);
  const area = pixels.length / 3;
  return Float32Array.from(unit, (_, i) => unit[(i % area) * 3 + Math.floor(i / area)]);
}

/** The largest relative error among the ledgers of a file's outputs. */
export function worstLedgerError(outputs: Readonly<Record<string, OutputArray>>): number {
  const column = LEDGER_COLUMNS.indexOf('relative_error');
  return Object.entries(outputs)
    .filter(([name]) => name.startsWith('ledger_'))
    .flatMap(([, { data }]) => Array.from(data).filter((_, i) => i % LEDGER_COLUMNS.length === column))
    .reduce((worst, error) => Math.max(worst, Number.isNaN(error) ? Number.POSITIVE_INFINITY : error), 0);
}

/** Norm of a - b relative to the norm of b. */
export function relativeNorm(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let [difference, size] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    difference += (a[i] - b[i]) ** 2;
    size += b[i] ** 2;
  }
  if (difference === 0) return 0;
  const ratio = Math.sqrt(difference / size);
  return Number.isNaN(ratio) ? Number.POSITIVE_INFINITY : ratio;
}

type Numbers = Record<string, ArrayLike<number>>;

/** Everything that the program gives for an image; the concept is that of the column. */
function live(
  source: ExportSource,
  image: tf.Tensor4D,
  taps: readonly string[] | null,
  concept: number,
): Numbers {
  const classes = source.model.spec.options.numClasses;
  const values = tf.tidy(() => {
    const outputs =
      taps === null
        ? explanationProgram(source).run(image, tf.zeros([1, classes]), tf.tensor1d([concept], 'int32'))
        : plainProgram(source, taps)(image);
    return Object.entries(outputs).map(([name, tensor]) => [name, (tensor as tf.Tensor).dataSync()] as const);
  });
  return Object.fromEntries(values);
}

/** Rows of an output [1, J, ...]. */
function rowOf({ dims, data }: OutputArray, index: number): ArrayLike<number> {
  const length = data.length / dims[1];
  return data.slice(index * length, (index + 1) * length);
}

/** Numbers of classes and concepts: not compared, since of two equal values either may come first. */
const NUMBERS = new Set(['predicted', 'activation_concepts', 'concept_ids']);
/** Outputs that have a row for each chosen concept. */
const BY_CONCEPT = new Set<string>(['concept_maps', 'concept_map_bias_terms', 'traces']);

/**
 * Runs a file on one photograph and compares it with the program behind it. The engine must be started; `source` is what
 * the file was made of. Throws the errors of `ExportedFile.run`.
 */
export async function checkExport(
  file: ExportedFile,
  source: ExportSource,
  photo: DecodedImage,
): Promise<ExportCheck> {
  const [height, width] = file.size;
  const { resize } = source.model.spec.preprocessing;
  const pixels = evalTransform(photo, { resize, crop: [height, width] });
  const planes = toPlanes(pixels);
  const want = (Object.keys(GROUPS) as Wish[]).filter((wish) => file.inputNames.includes(wish));
  const request = { want, ...(file.concepts === 0 ? {} : { concepts: [RANKS.slice(0, file.concepts)] }) };
  const outputs = file.takesPhotos ? await file.runPhoto(photo, request) : await file.run(planes, request);
  const kind = file.metadata.kind;
  const taps =
    kind === 'explain' ? null : kind === 'features' ? (JSON.parse(file.metadata.taps) as string[]) : [];
  const ids = Array.from(outputs.concept_ids?.data ?? [0]);
  const differences: Record<string, number> = {};
  const image = tf.tensor4d(planes, [1, 3, height, width]);
  try {
    ids.forEach((concept, j) => {
      const program = live(source, image, taps, concept);
      for (const [name, output] of Object.entries(outputs)) {
        const expected = name === 'prepared' ? planes : program[name];
        const isRow = BY_CONCEPT.has(name);
        if (expected === undefined || NUMBERS.has(name) || (j > 0 && !isRow)) continue;
        const difference = relativeNorm(isRow ? rowOf(output, j) : output.data, expected);
        differences[name] = Math.max(differences[name] ?? 0, difference);
      }
    });
  } finally {
    image.dispose();
  }
  return {
    differences,
    largestDifference: Math.max(...Object.values(differences)),
    largestLedgerError: worstLedgerError(outputs),
  };
}
