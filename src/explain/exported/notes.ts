/*
 * What an exported file says about itself: metadata (all values are text, most of them JSON), and one line for each
 * input and output. `content_sha256` seals the file: it is the SHA-256 of the file's bytes with the 64 digits of the
 * seal themselves replaced by zeros.
 */
import type { ModelNotes } from '../../engine/onnx/proto.js';
import type { WeightStorage } from '../../engine/onnx/weightStorage.js';
import type { ModelSpec } from '../../models/spec.js';
import type { Sae } from '../sae.js';
import { GROUPS } from './graph.js';
import { LEDGER_COLUMNS } from './ledger.js';
import { EXPORT_FORMAT } from './subject.js';

/** What a file computes: the explanation, logits alone, or features at taps. */
export const EXPORT_KINDS = ['explain', 'predict', 'features'] as const;
export type ExportKind = (typeof EXPORT_KINDS)[number];
/** How images go in: prepared, or as photographs. */
export const EXPORT_INPUTS = ['float32', 'uint8'] as const;
export type ExportInputKind = (typeof EXPORT_INPUTS)[number];

export const SEAL_KEY = 'content_sha256';
/** Stands for the seal while it is computed. */
export const OPEN_SEAL = '0'.repeat(64);

/** An autoencoder as the metadata describes it. */
export interface NotedSae {
  readonly sae: Sae;
  /** Concepts of the file, or the earlier ones that traces lead to. */
  readonly role: 'concepts' | 'traces';
  /** Positions at its tap: [height, width], or [tokens]. */
  readonly grid: readonly number[];
  readonly sha256: string | null;
}

export interface NoteFacts {
  readonly kind: ExportKind;
  readonly spec: ModelSpec;
  readonly saes: readonly NotedSae[];
  readonly size: readonly [number, number];
  readonly batch: number | null;
  readonly taps: readonly string[];
  readonly weights: WeightStorage;
  readonly input: ExportInputKind;
  readonly lowerConstants: readonly string[];
  readonly upperConstants: readonly string[];
  readonly packageVersion: string;
  readonly outputs: readonly string[];
}

const INPUT_TEXT = {
  photo:
    'photographs of one size, uint8 [N, any height, any width, 3], red, green, blue; scaled and cropped inside',
  image: 'pictures [N,3,H,W], red, green, blue, in [0,1]: byte / 255, no other normalisation',
  class_weights:
    'what is explained: the sum of weight x logit; [N,classes], or one row for all. All 0: the class that the network answers',
  concepts:
    'concepts whose pixel maps (and traces) are wanted: [N,J], or one row for all, any J. A concept number, or -1 for the concept with the largest |contribution|, -2 for the next, ...',
  want_contributions: 'whether contributions and their ledger are computed; else these outputs have 0 rows',
  want_class_map: 'whether the pixel map of the target and its ledger are computed',
  want_concept_maps: 'whether the pixel maps of the chosen concepts and their ledgers are computed',
  want_traces: 'whether the traces of the chosen concepts to earlier concepts are computed',
  want_alone: 'whether the logits of the network without autoencoder are computed',
};

const OUTPUT_TEXT: Readonly<Record<string, string>> = {
  prepared: 'the photograph as the network sees it: [N,3,H,W] in [0,1]',
  logits:
    'logits of the network (with the autoencoder in it, where the file has one): [N,classes]; probability = sigmoid',
  scores: 'logits before the bias is added, with all their digits: [N,classes]',
  predicted: 'class with the highest logit: [N]',
  logits_alone: 'logits of the network without autoencoder: [N,classes]',
  activation_values:
    'activations of the concepts at each position, k at each, falling, 0 = none: [N,positions,k]',
  activation_concepts: 'concept numbers of the activations: [N,positions,k]',
  presence: 'sum of the activations of each concept over the positions: [N,concepts]',
  feature_error: 'length of what the concepts do not hold of the features, at each position: [N,positions]',
  feature_norm: 'length of the features at each position: [N,positions]',
  contributions: 'what each concept adds to the target: [N,concepts]; sums to the score (see the ledger)',
  bias_terms:
    "what no concept adds: column 0 the logit bias, then the network's constants above the tap; metadata bias_terms",
  class_map: 'what each pixel adds to the target: [N,H,W]',
  class_gradient: 'gradient of the target by the six input channels (r,g,b,1-r,1-g,1-b): [N,6,H,W]',
  class_map_bias_terms:
    "what the network's constants below the tap add to the target; metadata map_bias_terms",
  concept_ids: 'the chosen concepts as numbers, ranks resolved: [N,J]',
  concept_maps: 'what each pixel adds to the presence of each chosen concept: [N,J,H,W]',
  concept_map_bias_terms:
    "what the network's constants add to each presence: [N,J,constants]; metadata map_bias_terms",
  traces: 'what each earlier concept adds to the presence of each chosen one: [N,J,earlier concepts]',
  trace_presence:
    'presence of the concepts with both autoencoders in the network: what traces add up to: [N,concepts]',
  early_presence: 'presence of the earlier concepts: [N,earlier concepts]',
  ledger_contributions:
    'score of the target before the logit bias; sum of contributions and constants; residual; relative error',
  ledger_class_map:
    'score of the target before the logit bias; sum of pixels and constants; residual; relative error',
  ledger_concept_maps:
    'presence of each chosen concept; sum of its pixels and constants; residual; relative error',
  ledger_traces: 'presence of each chosen concept; sum of its traces; residual; relative error',
};

function outputText(name: string): string {
  return OUTPUT_TEXT[name] ?? `features at tap ${name.replace(/^features_/, '')}`;
}

/** The flag that asks for an output; undefined: always there. */
export function flagOf(output: string): string | undefined {
  return Object.entries(GROUPS).find(([, names]) => (names as readonly string[]).includes(output))?.[0];
}

function describe(facts: NoteFacts): string {
  const { spec, kind, saes } = facts;
  const [concepts] = saes;
  const what = { explain: 'explanation', predict: 'prediction', features: 'features' }[kind];
  const where = concepts === undefined ? '' : `, ${concepts.sae.latents} concepts at ${concepts.sae.tap}`;
  return `${what} of ${spec.arch}, ${spec.options.numClasses} classes${where}; made by fact-tfjs ${facts.packageVersion}`;
}

/** Metadata and descriptions of a file, its seal still open. */
export function notesOf(facts: NoteFacts): ModelNotes {
  const { spec } = facts;
  const json = (value: unknown): string => JSON.stringify(value);
  const names = [...facts.outputs];
  const metadata = {
    format: EXPORT_FORMAT,
    kind: facts.kind,
    producer: `fact-tfjs ${facts.packageVersion}`,
    arch: spec.arch,
    class_names: json(spec.classNames),
    class_count: String(spec.options.numClasses),
    logit_bias: json(spec.logitBias ?? 0),
    model_sha256: spec.weightsHash ?? '',
    model_source: spec.source ?? '',
    weights: facts.weights,
    input: json({
      ...(facts.input === 'uint8'
        ? { name: 'photo', layout: 'NHWC', channels: 'RGB', range: [0, 255], sizes: 'any; prepared inside' }
        : { name: 'image', layout: 'NCHW', channels: 'RGB', range: [0, 1] }),
      height: facts.size[0],
      width: facts.size[1],
      batch: facts.batch ?? 'any',
    }),
    preprocessing: json({
      resizeShorterSide: spec.preprocessing.resize,
      filter: 'bilinear, antialiased',
      centreCrop: spec.preprocessing.crop,
    }),
    taps: json(facts.kind === 'features' ? facts.taps : facts.saes.map(({ sae }) => sae.tap)),
    autoencoders: json(
      facts.saes.map(({ sae, role, grid, sha256 }) => ({
        role,
        tap: sae.tap,
        concepts: sae.latents,
        k: sae.k,
        channels: sae.channels,
        grid,
        sha256,
      })),
    ),
    bias_terms: json(['logit bias', ...facts.upperConstants]),
    map_bias_terms: json(facts.lowerConstants),
    ledger_columns: json(LEDGER_COLUMNS),
    outputs: json(
      Object.fromEntries(
        names.map((name) => [name, { text: outputText(name), wanted_by: flagOf(name) ?? null }]),
      ),
    ),
    [SEAL_KEY]: OPEN_SEAL,
  };
  return {
    producerVersion: facts.packageVersion,
    description: describe(facts),
    metadata,
    ports: { ...INPUT_TEXT, ...Object.fromEntries(names.map((name) => [name, outputText(name)])) },
  };
}
