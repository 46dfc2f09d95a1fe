/** Networks and their explanations as ONNX files that any runtime runs: no autograd, no Python, nothing of this package. */
import type * as tf from '@tensorflow/tfjs';
import { type ExportInput, type ExportOptions, type TracedGraphs, traceGraphs } from '../../engine/export.js';
import { BATCH } from '../../engine/onnx/dynamic.js';
import type { GraphParts } from '../../engine/onnx/graph.js';
import { serializeModel } from '../../engine/onnx/proto.js';
import { shareConstants } from '../../engine/onnx/sharedConstants.js';
import { roundWeights, storeWeights, type WeightStorage } from '../../engine/onnx/weightStorage.js';
import type { TensorTree } from '../../engine/tensorTree.js';
import { matchSae, type Sae } from '../sae.js';
import { addPhotoFront } from './front.js';
import { explanationGraph, TRACED } from './graph.js';
import { type ExportInputKind, type ExportKind, type NotedSae, notesOf, SEAL_KEY } from './notes.js';
import { type ExportProgram, type ExportSource, explanationProgram, plainProgram } from './program.js';
import { sealBytes } from './seal.js';

export type { ExportSource } from './program.js';

export interface ExportModelOptions {
  /** Default: explain. */
  readonly kind?: ExportKind;
  /** Images in one run; default any number. */
  readonly batch?: number;
  /** Height and width of the images; default what the network was made for. */
  readonly size?: readonly [number, number];
  /** Taps whose features kind `features` gives; default those worth splicing at. */
  readonly taps?: readonly string[];
  /** Kind `features` gives the logits too; default no. */
  readonly withAnswers?: boolean;
  /** Default: prepared images; `uint8` takes photographs of any size as bytes and prepares them in the graph. */
  readonly input?: ExportInputKind;
  /** Default f32. */
  readonly weights?: WeightStorage;
  /** Default true: the ledgers are formed in the graph, in float64, which onnxruntime's WebGPU build does not take. */
  readonly ledgers?: boolean;
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

/** A program that was traced, the names of its constants, and what makes the file's graph of the traced one. */
interface Recorded {
  readonly traced: TracedGraphs;
  readonly constants: Pick<ExportProgram, 'lowerConstants' | 'upperConstants'>;
  readonly finish: (parts: GraphParts) => GraphParts;
}

function recordExplanation(
  source: ExportSource,
  hasLedgers: boolean,
  image: ExportInput,
  options: ExportOptions,
): Recorded {
  const program = explanationProgram(source);
  const { lowerConstants, upperConstants } = program;
  const classes = source.model.spec.options.numClasses;
  const [batch] = image.shape;
  const inputs: ExportInput[] = [
    image,
    { name: TRACED.target, shape: [batch, classes] },
    { name: TRACED.column, shape: [batch], dtype: 'int32' },
  ];
  const sizes = {
    batch: batch ?? BATCH,
    classes,
    concepts: source.sae?.latents ?? null,
    lowerConstants: lowerConstants.length,
    upperConstants: upperConstants.length,
    hasLedgers,
  };
  return {
    traced: traceGraphs(program.run as unknown as Traceable, inputs, options),
    constants: { lowerConstants, upperConstants },
    finish: (parts) => explanationGraph(parts, sizes),
  };
}

function recordPlain(
  source: ExportSource,
  taps: readonly string[],
  withAnswers: boolean,
  image: ExportInput,
  options: ExportOptions,
): Recorded {
  return {
    traced: traceGraphs(plainProgram(source, taps, withAnswers) as Traceable, [image], options),
    constants: { lowerConstants: [], upperConstants: [] },
    finish: (parts) => parts,
  };
}

/** The graph with each of its weights stored once, as asked. */
function storedGraph({ plain, optimised }: TracedGraphs, weights: WeightStorage): GraphParts {
  const originals = new Set(plain.constants.map(({ name }) => name));
  return storeWeights(shareConstants(optimised, plain.constants), weights, originals);
}

/**
 * Writes a network, with its autoencoders, as one ONNX file; equal arguments give equal bytes. Engine `onnx` must be
 * current. Throws FactError E_EXPORT_ENGINE, E_SAE_MISMATCH, E_TAP_UNKNOWN, E_TAP_ORDER and the errors of tracing.
 */
export function exportModel(source: ExportSource, options: ExportModelOptions): ExportedModel {
  const { kind = 'explain', batch = null, weights = 'f32', input = 'float32', packageVersion } = options;
  const { spec } = source.model;
  const size = sizeOf(source, options);
  const taps = kind === 'features' ? (options.taps ?? spec.taps) : [];
  for (const sae of [source.sae, source.early]) if (sae !== null) matchSae(source.model, sae);
  const image: ExportInput = { name: TRACED.image, shape: [batch, 3, ...size] };
  const name = `${kind} ${spec.arch}`;
  const tracing = { name, prepare: (parts: GraphParts) => roundWeights(parts, weights) };
  const { traced, constants, finish } =
    kind === 'explain'
      ? recordExplanation(source, options.ledgers ?? true, image, tracing)
      : recordPlain(source, taps, options.withAnswers ?? false, image, tracing);
  const finished = finish(storedGraph(traced, weights));
  const preparation = { ...spec.preprocessing, crop: [size[0], size[1]] as [number, number] };
  const parts =
    input === 'uint8'
      ? addPhotoFront(finished, { image: TRACED.image, photo: 'photo' }, batch ?? BATCH, preparation)
      : finished;
  const outputs = parts.outputs.map((port) => port.name);
  const saes = kind === 'explain' ? notedSaes(source, options) : [];
  const facts = {
    kind,
    spec,
    saes,
    size,
    batch,
    taps,
    weights,
    input,
    ...constants,
    packageVersion,
    outputs,
  };
  const notes = notesOf(facts);
  const bytes = serializeModel(parts, name, notes);
  const metadata = { ...notes.metadata, [SEAL_KEY]: sealBytes(bytes) };
  return { bytes, inputs: parts.inputs.map((port) => port.name), outputs, metadata };
}
