/*
 * The programs of an explainer over an exported file (docs/export.md) in any ONNX Runtime: onnxruntime-node, or
 * onnxruntime-web in a browser. Nothing here needs tfjs or Node.
 */
import type { InferenceSession, Tensor, TensorConstructor } from 'onnxruntime-common';
import { argMax } from '../../core/argMax.js';
import { FactError } from '../../core/errors.js';
import type { ExplainSubject } from '../baseExplainer.js';
import { chooseShown } from '../chooseShown.js';
import type {
  ConceptArrays,
  ExplainArrays,
  ExplainPrograms,
  ImageBatch,
  ScoreArrays,
} from '../explainPrograms.js';
import { type ExportedMetadata, exportedSubject, metadataValue, type NotedAutoencoder } from './subject.js';

/** What onnxruntime-node and onnxruntime-web have in common. */
export interface OnnxRuntime {
  readonly Tensor: TensorConstructor;
}

const isAny = (row: Float32Array): boolean => row.some((value) => value !== 0);

/** [C, H * W] -> [H * W, C] */
function channelsLast(values: Float32Array, channels: number): Float32Array {
  const pixels = values.length / channels;
  const out = new Float32Array(values.length);
  for (let c = 0; c < channels; c++)
    for (let p = 0; p < pixels; p++) out[p * channels + c] = values[c * pixels + p];
  return out;
}

/** [H * W, 3] -> [3, H * W] */
function channelsFirst(values: Float32Array): Float32Array {
  const pixels = values.length / 3;
  const out = new Float32Array(values.length);
  for (let c = 0; c < 3; c++) for (let p = 0; p < pixels; p++) out[c * pixels + p] = values[p * 3 + c];
  return out;
}

/** Arrays of several images one after the other. */
function joined(parts: readonly Float32Array[]): Float32Array {
  const out = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** The flags of a run: what is asked for besides the scores. */
interface Wish {
  readonly weights: Float32Array;
  readonly concepts?: readonly number[];
  readonly flags: readonly string[];
}

type Results = ReadonlyMap<string, Float32Array | Int32Array>;

/** Explains with an exported file, one image at a time. */
export class ExportedPrograms implements ExplainPrograms {
  readonly lowerConstants: readonly string[];
  readonly upperConstants: readonly string[];
  private readonly subject: ExplainSubject;
  private readonly latents: number;

  /**
   * @param session of the file, which is left open @param metadata of the same file: a session does not give it out
   * @param top concepts whose maps are computed. Throws FactError E_EXPORTED_FILE.
   */
  constructor(
    private readonly runtime: OnnxRuntime,
    private readonly session: InferenceSession,
    metadata: ExportedMetadata,
    private readonly top: number,
  ) {
    this.subject = exportedSubject(metadata);
    this.lowerConstants = metadataValue(metadata, 'map_bias_terms');
    this.upperConstants = metadataValue<readonly string[]>(metadata, 'bias_terms').slice(1);
    const saes = metadataValue<readonly NotedAutoencoder[]>(metadata, 'autoencoders');
    this.latents = saes.find((sae) => sae.role === 'concepts')?.concepts ?? 0;
  }

  private get classes(): number {
    return this.subject.spec.options.numClasses;
  }

  private feeds(pixels: Float32Array, images: ImageBatch, wish: Wish): Record<string, Tensor> {
    const { Tensor } = this.runtime;
    const feeds: Record<string, Tensor> = {
      image: new Tensor('float32', pixels, [1, 3, images.height, images.width]),
      class_weights: new Tensor('float32', wish.weights, [1, this.classes]),
    };
    const concepts = wish.concepts ?? [];
    for (const name of this.session.inputNames) {
      if (name === 'concepts')
        feeds[name] = new Tensor('int32', Int32Array.from(concepts), [1, concepts.length]);
      else if (feeds[name] === undefined) feeds[name] = new Tensor('bool', [wish.flags.includes(name)], []);
    }
    return feeds;
  }

  private async run(pixels: Float32Array, images: ImageBatch, wish: Wish): Promise<Results> {
    const outputs = await this.session.run(this.feeds(pixels, images, wish));
    return new Map(
      Object.entries(outputs).map(([name, tensor]) => {
        const values = tensor.data as Float32Array;
        return [name, values];
      }),
    );
  }

  /** Pixels of each image as the file wants them. */
  private *rows(images: ImageBatch): Generator<Float32Array> {
    const width = images.values.length / images.count;
    for (let i = 0; i < images.count; i++)
      yield channelsFirst(images.values.subarray(i * width, (i + 1) * width));
  }

  async scores(images: ImageBatch): Promise<ScoreArrays> {
    const rows: { alone: Float32Array; spliced: Float32Array }[] = [];
    for (const pixels of this.rows(images)) {
      const found = await this.run(pixels, images, {
        weights: new Float32Array(this.classes),
        flags: ['want_alone'],
      });
      rows.push(this.scoresOf(found));
    }
    return { alone: joined(rows.map((row) => row.alone)), spliced: joined(rows.map((row) => row.spliced)) };
  }

  private scoresOf(found: Results): { alone: Float32Array; spliced: Float32Array } {
    const spliced = floats(found, 'scores');
    const bias = this.subject.spec.logitBias ?? 0;
    const alone = found.has('logits_alone') ? floats(found, 'logits_alone').map((v) => v - bias) : spliced;
    return { alone, spliced };
  }

  async explain(images: ImageBatch, wanted: Float32Array, versus: Float32Array): Promise<ExplainArrays> {
    const explained: ExplainArrays[] = [];
    let i = 0;
    for (const pixels of this.rows(images)) {
      const row = (values: Float32Array): Float32Array =>
        values.slice(i * this.classes, (i + 1) * this.classes);
      explained.push(await this.explainOne(pixels, images, row(wanted), row(versus)));
      i++;
    }
    return joinExplained(explained);
  }

  private async explainOne(
    pixels: Float32Array,
    images: ImageBatch,
    wanted: Float32Array,
    versus: Float32Array,
  ): Promise<ExplainArrays> {
    const target = wanted.slice();
    const against = versus.slice();
    if (isAny(against)) {
      if (!isAny(target)) {
        const { spliced } = await this.scores({ ...images, values: channelsLast(pixels, 3), count: 1 });
        target[argMax(spliced)] = 1;
      }
      if (argMax(target) === argMax(against)) against.fill(0);
      for (let c = 0; c < target.length; c++) target[c] -= against[c];
    }
    const isDifference = isAny(against);
    const flags = ['want_class_map', 'want_alone'];
    if (this.subject.tap === null) {
      const found = await this.run(pixels, images, { weights: target, flags });
      return { ...this.pixelArrays(found), concepts: null };
    }
    const places = Math.min(this.top, this.latents);
    const ranks = Array.from({ length: places }, (_, place) => -1 - place);
    const all = [...flags, 'want_contributions'];
    const maps = ['want_concept_maps', 'want_traces'];
    if (!isDifference) {
      const found = await this.run(pixels, images, {
        weights: target,
        concepts: ranks,
        flags: [...all, ...maps],
      });
      return { ...this.pixelArrays(found), concepts: this.conceptArrays(found, found, null) };
    }
    const found = await this.run(pixels, images, { weights: target, flags: all });
    const shown = chooseShown(floats(found, 'contributions'), places, true);
    const shownMaps = await this.run(pixels, images, { weights: target, concepts: shown, flags: maps });
    const second = await this.run(pixels, images, { weights: against, flags: ['want_contributions'] });
    return {
      ...this.pixelArrays(found),
      concepts: this.conceptArrays(found, shownMaps, floats(second, 'contributions')),
    };
  }

  private pixelArrays(found: Results): Omit<ExplainArrays, 'concepts'> {
    return {
      ...this.scoresOf(found),
      gradient: channelsLast(floats(found, 'class_gradient'), 6),
      map: floats(found, 'class_map'),
      lowerConstants:
        this.lowerConstants.length === 0 ? new Float32Array(0) : floats(found, 'class_map_bias_terms'),
    };
  }

  private conceptArrays(found: Results, mapped: Results, versus: Float32Array | null): ConceptArrays {
    const shown = mapped.get('concept_ids') as Int32Array;
    const hasTraces = this.subject.earlyTap !== null;
    return {
      contributions: floats(found, 'contributions'),
      versus: versus ?? new Float32Array(this.latents),
      presence: floats(found, 'presence'),
      errors: floats(found, 'feature_error'),
      lengths: floats(found, 'feature_norm'),
      upperConstants: floats(found, 'bias_terms').slice(1),
      shown,
      maps: floats(mapped, 'concept_maps'),
      mapConstants:
        this.lowerConstants.length === 0 ? new Float32Array(0) : floats(mapped, 'concept_map_bias_terms'),
      traces: hasTraces ? floats(mapped, 'traces') : null,
      latePresence: hasTraces ? floats(mapped, 'trace_presence') : null,
      fullPositions: null,
    };
  }

  /** Frees the session. */
  dispose(): void {
    void this.session.release();
  }
}

function floats(found: Results, name: string): Float32Array {
  const values = found.get(name);
  if (values instanceof Float32Array) return values;
  throw new FactError({
    code: 'E_EXPORTED_FILE',
    message: `the exported file gives no numbers named "${name}"`,
    remedy: 'Export the network again with this version: fact export.',
  });
}

function joinExplained(rows: readonly ExplainArrays[]): ExplainArrays {
  const of = (pick: (row: ExplainArrays) => Float32Array): Float32Array => joined(rows.map(pick));
  const pixels = {
    alone: of((r) => r.alone),
    spliced: of((r) => r.spliced),
    gradient: of((r) => r.gradient),
    map: of((r) => r.map),
    lowerConstants: of((r) => r.lowerConstants),
  };
  const concepts = rows.flatMap((row) => (row.concepts === null ? [] : [row.concepts]));
  if (concepts.length === 0) return { ...pixels, concepts: null };
  const ofConcepts = (pick: (c: ConceptArrays) => Float32Array): Float32Array => joined(concepts.map(pick));
  const optional = (pick: (c: ConceptArrays) => Float32Array | null): Float32Array | null => {
    const parts = concepts.flatMap((c) => pick(c) ?? []);
    return parts.length === concepts.length ? joined(parts) : null;
  };
  return {
    ...pixels,
    concepts: {
      contributions: ofConcepts((c) => c.contributions),
      versus: ofConcepts((c) => c.versus),
      presence: ofConcepts((c) => c.presence),
      errors: ofConcepts((c) => c.errors),
      lengths: ofConcepts((c) => c.lengths),
      upperConstants: ofConcepts((c) => c.upperConstants),
      shown: Int32Array.from(concepts.flatMap((c) => [...c.shown])),
      maps: ofConcepts((c) => c.maps),
      mapConstants: ofConcepts((c) => c.mapConstants),
      traces: optional((c) => c.traces),
      latePresence: optional((c) => c.latePresence),
      fullPositions: null,
    },
  };
}
