import { existsSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { predictEdit } from '../../../../src/explain/concepts/edit/edit.js';
import { attributeEdit } from '../../../../src/explain/concepts/edit/editProgram.js';
import { traceChain, weighChain } from '../../../../src/explain/concepts/graph/graphProgram.js';
import { useEngine } from '../../../engine.js';
import { channelsLast } from '../../../goldens/channelsLast.js';
import {
  type GoldenCase,
  goldensFolder,
  goldenTolerance,
  readFactCase,
  relativeError,
} from '../../../goldens/format.js';
import { between, goldenNetwork } from '../../goldenNetworks.js';

useEngine();

const folder = goldensFolder();
const path = folder === null ? null : join(folder, 'fact', 'explain');
const isThere = path !== null && existsSync(path);

/** The cases that have a second autoencoder. */
const TWO_LEVELS = ['resnet', 'vit', 'vit_last', 'cnn_late'];

function saeOf(golden: GoldenCase, prefix: string, k: number) {
  const weight = (name: string) => {
    const { data, shape } = golden.tensors[`${prefix}:${name}.weight`];
    return tf.tensor2d(data as Float32Array, shape as [number, number]);
  };
  return { encoder: weight('encoder'), decoder: weight('decoder'), k };
}

describe.skipIf(!isThere)('graphs and edits of the reference (skipped without goldens)', () => {
  const cases = TWO_LEVELS.map((name) => readFactCase(join(path ?? '', name))).filter(
    ({ params }) => params.early !== null && params.early !== undefined,
  );

  it('has cases with two autoencoders', () => {
    expect(cases.length).toBeGreaterThan(0);
  });

  it.each(cases.map((golden, i) => [i, golden] as const))(
    'agrees at every hop, case %i',
    async (_, golden) => {
      const stages = await goldenNetwork(golden);
      if (stages === null) throw new Error('the network of this case is not built');
      const { params, tensors } = golden;
      const compare = (name: string, actual: tf.Tensor): void => {
        const { data, noise } = tensors[name];
        expect(relativeError(actual.dataSync(), data as Float64Array), name).toBeLessThanOrEqual(
          goldenTolerance(noise),
        );
      };
      tf.tidy(() => {
        const x = channelsLast(tensors.image) as tf.Tensor4D;
        const chain = {
          levels: [
            {
              part: between(stages, null, params.early.tap),
              sae: saeOf(golden, 'early_sae', params.early.k),
            },
            { part: between(stages, params.early.tap, params.tap), sae: saeOf(golden, 'sae', params.k) },
          ],
          top: between(stages, params.tap, null),
        };
        const batch = x.shape[0];
        const weights = weighChain(chain, x, tf.zeros([batch, 10]));
        compare('two_sae_logits', tf.add(weights.scores, params.logit_bias));
        compare('early_to_logit_contributions', weights.contributions[0]);
        compare('late_to_logit_contributions', weights.contributions[1]);
        compare('two_sae_late_presence', weights.presences[1]);
        const chosen = tensors.two_sae_late_concepts;
        const late = tf.tensor2d(chosen.data as Int32Array, chosen.shape as [number, number], 'int32');
        const early = tf.zeros([batch, 1], 'int32') as tf.Tensor2D;
        const traces = traceChain(chain, x, weights.target, [early, late]);
        compare('early_to_late_contributions', traces[1].presence);
        compare('logits_without_sae', tf.add(weights.alone, params.logit_bias));
      });
    },
  );

  it("predicts edits from the reference's own contributions of all classes", async () => {
    const golden = readFactCase(join(path ?? '', 'resnet'));
    const stages = await goldenNetwork(golden);
    if (stages === null) throw new Error('the network of this case is not built');
    const { params, tensors } = golden;
    const K = params.latents as number;
    tf.tidy(() => {
      const x = channelsLast(tensors.image) as tf.Tensor4D;
      const batch = x.shape[0];
      const factors = Float32Array.from({ length: K }, (_, c) => (c % 3 === 0 ? 0 : c % 3 === 1 ? 1.75 : 1));
      const network = {
        lower: between(stages, null, params.tap),
        upper: between(stages, params.tap, null),
        sae: saeOf(golden, 'sae', params.k),
      };
      const rows = tf.tile(tf.tensor2d(factors, [1, K]), [batch, 1]) as tf.Tensor2D;
      const reference = tensors.contributions_all_classes.data as Float64Array;
      for (let c = 0; c < 10; c++) {
        const target = tf.cast(
          tf.oneHot(tf.fill([batch], c, 'int32') as tf.Tensor1D, 10),
          'float32',
        ) as tf.Tensor2D;
        const found = attributeEdit(network, x, rows, target);
        const held = found.held.dataSync();
        const before = found.before.dataSync();
        for (let i = 0; i < batch; i++) {
          const contributions = Float32Array.from(reference.slice((i * 10 + c) * K, (i * 10 + c + 1) * K));
          const { score, absolute } = predictEdit(
            { before: before[i], contributions, constants: new Float32Array(0) },
            factors,
          );
          expect(Math.abs(held[i] - score) / absolute).toBeLessThanOrEqual(1e-5);
        }
      }
    });
  });
});
