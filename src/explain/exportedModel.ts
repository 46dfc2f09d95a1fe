/** Networks and their explanations as ONNX files that any runtime runs: no autograd, no Python, nothing of this package. */
import type * as tf from '@tensorflow/tfjs';
import { type ExportInput, traceToParts } from '../engine/export.js';
import { BATCH } from '../engine/onnx/dynamic.js';
import type { GraphParts } from '../engine/onnx/graph.js';
import { serializeModel } from '../engine/onnx/proto.js';
import { shareConstants } from '../engine/onnx/sharedConstants.js';
import { storeWeights, type WeightStorage } from '../engine/onnx/weightStorage.js';
import type { TensorTree } from '../engine/tensorTree.js';
import { addPhotoFront } from './exportedFront.js';
import { explanationGraph, TRACED } from './exportedGraph.js';
import { type ExportInputKind, type ExportKind, type NotedSae, notesOf } from './exportedNotes.js';
import { type ExportSource, explanationProgram, plainProgram } from './exportedProgram.js';
import { sealBytes } from './exportedSeal.js';
import { matchSae, type Sae } from './sae.js';

export type { ExportSource } from './exportedProgram.js';

export interface ExportModelOptions {
  /** Default: explain. */
  readonly kind?: ExportKind;
  /** Images in one run; default any number. */
  readonly batch?: number;
  /** Height and width of the images; default what the network was made for. */
  readonly size?: readonly [number, number];
  /** Taps whose features kind `features` gives; default those worth splicing at. */
  readonly taps?: readonly string[];
  /** Default: prepared images; `uint8` takes photographs of any size as bytes and prepares them in the graph. */
  readonly input?: ExportInputKind;
  /** Default f32. */
  readonly weights?: WeightStorage;
  /** Version of this package, for the metadata. */
  readonly packageVersion: string;
  /** SHA-256 of the autoencoders' weight files, for the metadata. */
  readonly saeHashes?: { readonly sae?: string; readonly early?: string };
}

export interface ExportedModel {
  readonly bytes: Uint8Array;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly metadata: Readonly<Record<string, string>>;
}

type Traceable = (...args: tf.Tensor[]) => TensorTree;

function notedSaes(source: ExportSource, options: ExportModelOptions): NotedSae[] {
  const [height, width] = sizeOf(source, options);
  const note = (sae: Sae, role: NotedSae['role'], hash: string | undefined): NotedSae => {
    const shape = source.model.segment(null, sae.tap).computeOutputShape([1, height, width, 3]);
    return { sae, role, grid: (shape as number[]).slice(1, -1), sha256: hash ?? null };
  };
  const { sae, early } = source;
  return [
    ...(sae === null ? [] : [note(sae, 'concepts', options.saeHashes?.sae)]),
    ...(early === null ? [] : [note(early, 'traces', options.saeHashes?.early)]),
  ];
}

function sizeOf(source: ExportSource, options: ExportModelOptions): readonly [number, number] {
  return options.size ?? source.model.spec.preprocessing.crop;
}

/**
 * Writes a network, with its autoencoders, as one ONNX file; equal arguments give equal bytes. Engine `onnx` must be
 * current. Throws FactError E_EXPORT_ENGINE, E_SAE_MISMATCH, E_TAP_UNKNOWN, E_TAP_ORDER and the errors of tracing.
 */
export function exportModel(source: ExportSource, options: ExportModelOptions): ExportedModel {
  const { kind = 'explain', batch = null, weights = 'f32', packageVersion } = options;
  const { spec } = source.model;
  const size = sizeOf(source, options);
  const taps = options.taps ?? spec.taps;
  const classes = spec.options.numClasses;
  for (const sae of [source.sae, source.early]) if (sae !== null) matchSae(source.model, sae);
  const image: ExportInput = { name: TRACED.image, shape: [batch, 3, ...size] };
  const name = `${kind} ${spec.arch}`;
  let parts: GraphParts;
  let constants = { lowerConstants: [] as readonly string[], upperConstants: [] as readonly string[] };
  if (kind === 'explain') {
    const program = explanationProgram(source);
    constants = program;
    const inputs: ExportInput[] = [
      image,
      { name: TRACED.target, shape: [batch, classes] },
      { name: TRACED.column, shape: [batch], dtype: 'int32' },
    ];
    const traced = traceToParts(program.run as unknown as Traceable, inputs, { name });
    const counts = { upper: program.upperConstants.length, lower: program.lowerConstants.length };
    parts = explanationGraph(traced, source.sae?.latents ?? null, counts, { batch: batch ?? BATCH, classes });
  } else {
    const run = plainProgram(source, kind === 'features' ? taps : []);
    parts = traceToParts(run as Traceable, [image], { name });
  }
  if (options.input === 'uint8') {
    const names = { image: TRACED.image, photo: 'photo' };
    parts = addPhotoFront(parts, names, batch ?? BATCH, { ...spec.preprocessing, crop: [...size] });
  }
  parts = storeWeights(shareConstants(parts), weights);
  const outputs = parts.outputs.map((port) => port.name);
  const notes = notesOf({
    kind,
    spec,
    saes: kind === 'explain' ? notedSaes(source, options) : [],
    size,
    batch,
    taps,
    weights,
    input: options.input ?? 'float32',
    lowerConstants: constants.lowerConstants,
    upperConstants: constants.upperConstants,
    packageVersion,
    outputs,
  });
  const bytes = sealBytes(serializeModel(parts, name, notes));
  return { bytes, inputs: parts.inputs.map((port) => port.name), outputs, metadata: notes.metadata ?? {} };
}
