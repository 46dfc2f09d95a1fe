import * as tf from '@tensorflow/tfjs';
import { FactError } from '../core/errors.js';
import { nearestName } from '../core/nearest.js';
import type { Architecture, Stage } from './architecture.js';
import { type StorageType, saveModel, type WeightValues } from './saveModel.js';
import type { ModelSpec } from './spec.js';
import { type StateEntry, stateDictOf } from './stateDict.js';

/** The last stage: its output is the logits, which `null` names. */
const LAST = 'logits';

/**
 * A B-cos network: a chain of named stages. Every part of it is a plain LayersModel; all share the same weights.
 * `dispose` frees the weights and every part that was handed out.
 */
export class BcosModel {
  /** Images [N,H,W,3] in [0,1] -> logits [N,classes]; any H and W. */
  readonly network: tf.LayersModel;
  private described: ModelSpec;
  /** Module path of the classifier's last map; null: there is none. */
  readonly head: string | null;
  private readonly stages: readonly Stage[];
  private readonly segments = new Map<string, tf.LayersModel>();
  /** Channels at the output of each stage. */
  private readonly shapes = new Map<string, tf.Shape>();

  constructor(architecture: Architecture, spec: ModelSpec) {
    this.stages = architecture.stages;
    this.head = architecture.head;
    this.described = spec;
    let value = tf.input({ shape: [null, null, 3], name: 'image' });
    for (const stage of this.stages) {
      value = stage.wire(value);
      this.shapes.set(stage.name, value.shape);
    }
    this.network = this.segment(null, null);
  }

  /** What is known about the network. */
  get spec(): ModelSpec {
    return this.described;
  }

  /** Changes what is known: class names, source, preprocessing, input size. */
  describe(
    change: Partial<Pick<ModelSpec, 'classNames' | 'source' | 'preprocessing' | 'inputSize' | 'weightsHash'>>,
  ): void {
    this.described = { ...this.described, ...change };
  }

  /** Names of all stages in order; each but the last is a tap. */
  get stageNames(): readonly string[] {
    return this.stages.map((stage) => stage.name);
  }

  private indexOf(tap: string): number {
    // B-cos ViTs are wrapped in the reference: its module paths begin with "0.".
    const wanted = new Set([tap, tap.replace(/^0\./, '')]);
    const index = this.stages.findIndex((stage) => wanted.has(stage.name));
    if (index >= 0 && this.stages[index].name !== LAST) return index;
    const taps = this.stageNames.slice(0, -1);
    const nearest = nearestName(tap, taps);
    throw new FactError({
      code: 'E_TAP_UNKNOWN',
      message: `${this.spec.arch}: there is no tap "${tap}"${nearest === undefined ? '' : `; the nearest is "${nearest}"`}`,
      remedy: `Taps of this network: ${taps.join(', ')}.`,
      exitCode: 2,
    });
  }

  /**
   * The part after tap `from` up to and with tap `to`; null: the image, the logits. Tap `input` is the encoded
   * six-channel image. Made once, shares weights, owned by this model. Throws FactError E_TAP_UNKNOWN, E_TAP_ORDER.
   */
  segment(from: string | null, to: string | null): tf.LayersModel {
    const key = `${from ?? ''}>${to ?? ''}`;
    const known = this.segments.get(key);
    if (known !== undefined) return known;
    const start = from === null ? 0 : this.indexOf(from) + 1;
    const end = to === null ? this.stages.length : this.indexOf(to) + 1;
    if (start >= end) {
      throw new FactError({
        code: 'E_TAP_ORDER',
        message: `${this.spec.arch}: nothing lies between "${from ?? 'image'}" and "${to ?? 'logits'}"`,
        remedy: `The order of the taps is ${this.stageNames.join(', ')}.`,
        exitCode: 2,
      });
    }
    const shape =
      start === 0 ? [null, null, 3] : (this.shapes.get(this.stages[start - 1].name) ?? []).slice(1);
    const input = tf.input({ shape, name: from === null ? 'image' : `after_${from}` });
    const output = this.stages.slice(start, end).reduce((value, stage) => stage.wire(value), input);
    const model = tf.model({ inputs: input, outputs: output, name: this.spec.arch });
    this.segments.set(key, model);
    return model;
  }

  /** The network below and above a tap: upper(lower(x)) = network(x). Throws FactError E_TAP_UNKNOWN. */
  splitAt(tap: string): { lower: tf.LayersModel; upper: tf.LayersModel } {
    return { lower: this.segment(null, tap), upper: this.segment(tap, null) };
  }

  /** Weights of the stages whose names are given (default: all), by PyTorch's names, in its order. */
  stateDict(stageNames: readonly string[] = this.stageNames): StateEntry[] {
    const wanted = new Set(stageNames);
    return this.stages.filter((s) => wanted.has(s.name)).flatMap((s) => stateDictOf(s.layers));
  }

  /** Number of trained values. */
  countParameters(): number {
    return this.stateDict().reduce((sum, entry) => sum + (entry.isParameter ? entry.variable.size : 0), 0);
  }

  /**
   * Writes model.json + weights.bin (tfjs layers format) + fact.json as one folder, replaced as a whole.
   * `valuesOf` gives the values to store in place of the network's own, weight by weight.
   * Throws FactError E_WRITE.
   */
  async save(
    folder: string,
    options: { dtype?: StorageType; valuesOf?: (weight: tf.LayerVariable) => WeightValues } = {},
  ): Promise<void> {
    const { dtype = 'float32', valuesOf } = options;
    const weightsHash = await saveModel(this.network, this.spec, folder, dtype, valuesOf);
    this.describe({ weightsHash });
  }

  /** Frees all weights. The model and its parts are unusable afterwards. */
  dispose(): void {
    for (const entry of this.stateDict()) entry.variable.dispose();
    this.segments.clear();
  }
}
