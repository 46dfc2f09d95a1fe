import * as tf from '@tensorflow/tfjs';
import {
  attributeChannels,
  attributeConcepts,
  contributeTwoLevels,
  mapConcepts,
  reconstructFeatures,
  type SaeTensors,
  traceConcepts,
} from '../../src/explain/conceptProgram.js';
import { formLedger } from '../../src/explain/ledger.js';
import { runPart } from '../../src/explain/parts.js';
import { between, goldenNetwork, type Stages } from '../explain/goldenNetworks.js';
import { channelsLast } from './channelsLast.js';
import type { GoldenCheck } from './checks.js';
import { folderSuite } from './folderSuite.js';
import { type GoldenCase, goldenTolerance, readFactCase, relativeError } from './format.js';

/** Ledgers of every image and class hold to this. */
const LEDGER_TOLERANCE = 1e-5;

/** Checks of one case; tensors that it makes live in the surrounding tidy. */
class CaseChecker {
  readonly checks: GoldenCheck[] = [];
  readonly stages: Stages;
  readonly golden: GoldenCase;
  readonly image: tf.Tensor4D;
  readonly sae: SaeTensors;

  constructor(golden: GoldenCase, stages: Stages) {
    this.golden = golden;
    this.stages = stages;
    this.image = channelsLast(golden.tensors.image) as tf.Tensor4D;
    this.sae = this.saeOf('sae', golden.params.k);
  }

  saeOf(prefix: string, k: number): SaeTensors {
    const weight = (name: string): tf.Tensor2D => {
      const { data, shape } = this.golden.tensors[`${prefix}:${name}.weight`];
      return tf.tensor2d(data as Float32Array, shape as [number, number]);
    };
    return { encoder: weight('encoder'), decoder: weight('decoder'), k };
  }

  /** Compares a tensor in PyTorch's order with a stored one; features are stored channels first where [N,C,H,W]. */
  compare(name: string, actual: tf.Tensor | ArrayLike<number>): void {
    const expected = this.golden.tensors[name];
    if (expected === undefined) return;
    const values = actual instanceof tf.Tensor ? actual.dataSync() : actual;
    this.checks.push({
      tensor: name,
      error: relativeError(values, expected.data as Float64Array),
      tolerance: goldenTolerance(expected.noise),
    });
  }

  /** A ledger: error relative to the sum of the terms' absolute values. */
  ledger(name: string, left: ArrayLike<number>, terms: readonly ArrayLike<number>[]): void {
    const errors = terms.map(
      (row, i) =>
        formLedger({ side: 'logit', subject: name, left: left[i], terms: row, termsName: 'terms' })
          .relativeError,
    );
    this.checks.push({ tensor: `ledger ${name}`, error: Math.max(...errors), tolerance: LEDGER_TOLERANCE });
  }

  oneHot(classes: ArrayLike<number>, sign = 1): tf.Tensor2D {
    return tf.mul(
      tf.oneHot(tf.tensor1d(Int32Array.from(classes), 'int32'), 10).toFloat(),
      sign,
    ) as tf.Tensor2D;
  }

  run(): readonly GoldenCheck[] {
    this.concepts();
    this.allClasses();
    this.maps();
    this.channels();
    if (this.golden.params.early !== null) this.traces();
    return this.checks;
  }

  private rows(t: tf.Tensor): ArrayLike<number>[] {
    const flat = t.reshape([t.shape[0], -1]).dataSync();
    const length = t.size / t.shape[0];
    return Array.from({ length: t.shape[0] }, (_, i) => flat.subarray(i * length, (i + 1) * length));
  }

  private dense(values: tf.Tensor3D, indices: tf.Tensor3D, latents: number): tf.Tensor {
    return tf.sum(tf.mul(tf.oneHot(indices, latents).toFloat(), tf.expandDims(values, -1)), 2);
  }

  private concepts(): void {
    const { params, tensors } = this.golden;
    const lower = between(this.stages, null, params.tap);
    const upper = between(this.stages, params.tap, null);
    const plain = tf.tidy(() => {
      const code = reconstructFeatures(lower, this.sae, this.image);
      return code;
    });
    const first = (t: tf.Tensor): tf.Tensor => (t.rank === 4 ? tf.transpose(t, [0, 3, 1, 2]) : t);
    this.compare('features', first(plain.features));
    this.compare('reconstruction', first(plain.reconstruction));
    this.compare('activations', this.dense(plain.values, plain.indices, params.latents));
    const predicted = tensors.predicted_class.data as Int32Array;
    const a = attributeConcepts(lower, upper, this.sae, this.image, this.oneHot(predicted));
    this.compare('logits', tf.add(a.scores, params.logit_bias));
    this.compare('predicted_class', tf.argMax(a.scores, 1));
    this.compare('contributions_predicted', a.contributions);
    this.compare('presence', a.presence);
    this.compare('l2_error_per_position', a.errors);
    const perPosition = tf.mul(a.values, a.weights) as tf.Tensor3D;
    this.compare('contribution_per_position', this.dense(perPosition, a.indices, params.latents));
    this.compare('class_gradient', tf.transpose(a.gradient, [0, 3, 1, 2]));
    this.compare('class_pixel_contribution', a.map);
    const scores = a.scores.arraySync();
    const left = Array.from(predicted, (c, i) => scores[i][c]);
    this.compare('sum_rule_logit_minus_bias', left);
    this.compare('feature_contribution_total', left);
    this.ledger('logit', left, this.rows(a.contributions));
    const withConstants = tf.concat(
      [a.map.reshape([a.map.shape[0], -1]), a.lowerConstants, a.upperConstants],
      1,
    );
    this.ledger('class pixels', left, this.rows(withConstants));
    const [plus, minus] = params.difference as [number, number];
    const all = (c: number) => new Array(predicted.length).fill(c);
    const target = tf.sub(this.oneHot(all(plus)), this.oneHot(all(minus))) as tf.Tensor2D;
    const d = attributeConcepts(lower, upper, this.sae, this.image, target);
    this.compare('difference_contributions', d.contributions);
    const difference = scores.map((row) => row[plus] - row[minus]);
    this.compare('difference_of_logits', difference);
    this.ledger('difference', difference, this.rows(d.contributions));
  }

  private allClasses(): void {
    const { params } = this.golden;
    const lower = between(this.stages, null, params.tap);
    const upper = between(this.stages, params.tap, null);
    const batch = this.image.shape[0];
    const byClass = Array.from({ length: 10 }, (_, c) => {
      const target = this.oneHot(new Array(batch).fill(c));
      const a = attributeConcepts(lower, upper, this.sae, this.image, target);
      const left = tf.sum(tf.mul(a.scores, target), 1).dataSync();
      this.ledger(`logit of class ${c}`, left, this.rows(a.contributions));
      return a.contributions;
    });
    this.compare('contributions_all_classes', tf.stack(byClass, 1));
    const whole = between(this.stages, null, null);
    this.compare('logits_without_sae', tf.add(runPart(whole, this.image), params.logit_bias));
  }

  private maps(): void {
    const { params, tensors } = this.golden;
    const lower = between(this.stages, null, params.tap);
    const upper = between(this.stages, params.tap, null);
    const pairs = params.concepts as [number, number][];
    // One image a pair, so that each pair is a batch entry with one concept.
    const image = tf.gather(
      this.image,
      tf.tensor1d(
        pairs.map(([b]) => b),
        'int32',
      ),
    ) as tf.Tensor4D;
    const predicted = tensors.predicted_class.data as Int32Array;
    const target = this.oneHot(pairs.map(([b]) => predicted[b]));
    const a = attributeConcepts(lower, upper, this.sae, image, target);
    const ids = tf.tensor2d(
      pairs.map(([, c]) => [c]),
      [pairs.length, 1],
      'int32',
    );
    const m = mapConcepts(lower, this.sae, image, a, ids);
    const flat = m.gradients.reshape(image.shape) as tf.Tensor4D;
    this.compare('concept_gradient', tf.transpose(flat, [0, 3, 1, 2]));
    this.compare('concept_pixel_contribution', m.maps);
    this.compare('pixel_sum', tf.sum(m.maps, [1, 2, 3]));
    this.compare('concept_position_code_part', tf.sum(m.constantTerms, [1, 2]));
    const presence = a.presence.arraySync();
    const left = pairs.map(([, c], i) => presence[i][c]);
    this.compare('concept_presence', left);
    const terms = tf.concat(
      [m.maps.reshape([pairs.length, -1]), m.constantTerms.reshape([pairs.length, -1])],
      1,
    );
    this.ledger('presence', left, this.rows(terms));
    const weighted = mapConcepts(lower, this.sae, image, a, ids, a.weights);
    const gradient = weighted.gradients.reshape(image.shape) as tf.Tensor4D;
    this.compare('first_concept_contribution_gradient', tf.transpose(tf.slice(gradient, 0, 1), [0, 3, 1, 2]));
  }

  private channels(): void {
    const { params, tensors } = this.golden;
    const lower = between(this.stages, null, params.tap);
    const upper = between(this.stages, params.tap, null);
    const whole = between(this.stages, null, null);
    const classes = tf.argMax(runPart(whole, this.image), 1).dataSync();
    const c = attributeChannels(lower, upper, this.image, this.oneHot(classes));
    if (tensors.channel_contributions === undefined) return;
    this.compare('channel_contributions', c.contributions);
    this.compare('channel_presence', c.presence);
  }

  private traces(): void {
    const { params, tensors, golden } = { ...this.golden, golden: this.golden };
    const { tap: earlyTap, k } = params.early as { tap: string; k: number };
    const parts = {
      lower: between(this.stages, null, earlyTap),
      middle: between(this.stages, earlyTap, params.tap),
      upper: between(this.stages, params.tap, null),
    };
    const early = this.saeOf('early_sae', k);
    const chosen = tensors.two_sae_late_concepts;
    const ids = tf.tensor2d(chosen.data as Int32Array, chosen.shape as [number, number], 'int32');
    const predicted = golden.tensors.two_sae_predicted_class.data as Int32Array;
    const saes = { early, late: this.sae };
    const t = traceConcepts(parts, saes, this.image, ids);
    const two = contributeTwoLevels(parts, saes, this.image, this.oneHot(predicted));
    this.compare('two_sae_logits', tf.add(two.scores, params.logit_bias));
    this.compare('two_sae_predicted_class', tf.argMax(two.scores, 1));
    this.compare('early_activations', this.dense(t.early.values, t.early.indices, params.early.latents));
    this.compare(
      'late_activations_with_early_sae',
      this.dense(t.late.values, t.late.indices, params.latents),
    );
    this.compare('two_sae_late_presence', t.latePresence);
    this.compare('early_to_late_contributions', t.traces);
    this.compare('early_to_logit_contributions', two.early);
    this.compare('late_to_logit_contributions', two.late);
    const presence = t.latePresence.arraySync();
    const left = Array.from(
      chosen.data as Int32Array,
      (c, i) => presence[Math.floor(i / chosen.shape[1])][c],
    );
    this.ledger('traces', left, this.rows(t.traces.reshape([left.length, -1])));
    const scores = two.scores.arraySync();
    const logits = Array.from(predicted, (c, i) => scores[i][c]);
    this.compare('two_sae_logit_minus_bias', logits);
    this.ledger('early to logit', logits, this.rows(two.early));
    this.ledger('late to logit', logits, this.rows(two.late));
  }
}

async function checkCase(golden: GoldenCase): Promise<readonly GoldenCheck[] | 'not yet'> {
  const stages = await goldenNetwork(golden);
  if (stages === null) return 'not yet';
  let checks: readonly GoldenCheck[] = [];
  tf.tidy(() => {
    checks = new CaseChecker(golden, stages).run();
  });
  return checks;
}

/** Concept explanations of whole networks with spliced autoencoders. */
export const explainSuite = folderSuite('fact/explain', (path) => checkCase(readFactCase(path)));
