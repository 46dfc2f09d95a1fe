import * as tf from '@tensorflow/tfjs';
import { compile } from '../../src/engine/compile.js';
import { saeGradients } from '../../src/train/sae/step/gradients.js';
import { learningRateMultiplier } from '../../src/train/sae/step/schedule.js';
import { clipFactor, removeParallel, rowSquares } from '../../src/train/sae/step/update.js';
import type { GoldenCheck } from './checks.js';
import type { GoldenCase } from './format.js';
import { agrees, equal, numbers, transposed } from './saeNumbers.js';

export async function runSchedule(golden: GoldenCase): Promise<GoldenCheck[]> {
  const cases: [string, number, number, number | null][] = [
    ['multiplier_0', 56, 8, 16],
    ['multiplier_1', 160, 10, 20],
    ['multiplier_2', 30, 1, 2],
    ['multiplier_3', 100, 0, 50],
    ['multiplier_4', 40, 5, null],
  ];
  return cases.map(([name, totalSteps, warmupSteps, decayStart]) => {
    const expected = numbers(golden.tensors[name]);
    const worst = Math.max(
      ...Array.from(expected, (value, u) =>
        Math.abs(value - learningRateMultiplier(u, { totalSteps, warmupSteps, decayStart })),
      ),
    );
    return { tensor: name, error: worst, tolerance: 1e-12 };
  });
}

export async function runAux(golden: GoldenCase): Promise<GoldenCheck[]> {
  const p = golden.params;
  const x = tf.tensor2d(numbers(golden.tensors.x) as Float32Array, [p.rows, p.dim]);
  const encoder = tf.tensor2d(numbers(golden.tensors.encoder) as Float32Array, [p.latents, p.dim]);
  const rows = tf.tensor2d(transposed(numbers(golden.tensors.decoder), p.dim, p.latents), [p.latents, p.dim]);
  const counters = tf.tensor1d(numbers(golden.tensors.rows_since_fired_before) as Int32Array, 'int32');
  const checks: GoldenCheck[] = [];
  const widths = [
    ...new Set([p.latents, Math.min(p.latents, Math.max(p.top_k_aux, golden.results.dead_in_this_step))]),
  ];
  for (const auxWidth of widths) {
    for (const enabled of [false, true]) {
      const label = `${enabled ? 'compiled' : 'eager'}, width ${auxWidth}`;
      const options = {
        k: p.k,
        auxAlpha: p.auxk_alpha,
        auxK: p.top_k_aux,
        deadAfterRows: p.dead_feature_threshold,
        auxWidth,
      };
      const run = compile(
        (x: tf.Tensor2D, e: tf.Tensor2D, r: tf.Tensor2D, c: tf.Tensor1D) => {
          const result = saeGradients(x, e, r, c, options);
          const projected = removeParallel(result.decoderRowsGrad, r);
          const squares = tf.sum(tf.add(rowSquares(result.encoderGrad), rowSquares(projected)));
          return { ...result, projected, squares };
        },
        { name: 'golden aux', enabled },
      );
      const r = await run(x, encoder, rows, counters);
      checks.push(
        equal(`counters (${label})`, r.counters.dataSync(), numbers(golden.tensors.rows_since_fired_after)),
        equal(`dead (${label})`, r.dead.dataSync(), [golden.results.dead_in_this_step]),
        agrees(golden, 'l2', r.l2.dataSync(), label),
      );
      const known = golden.tensors.pre_norm_auxk;
      // The reference writes -1 where none is dead.
      checks.push(
        numbers(known)[0] === -1
          ? equal(`pre_norm_auxk (${label})`, r.auxNumerator.dataSync(), [0])
          : agrees(golden, 'pre_norm_auxk', r.auxNumerator.dataSync(), label),
      );
      if (golden.tensors.loss !== undefined) {
        checks.push(
          agrees(golden, 'loss', r.loss.dataSync(), label),
          agrees(golden, 'grad_encoder', r.encoderGrad.dataSync(), label),
          agrees(golden, 'grad_decoder', transposed(r.decoderRowsGrad.dataSync(), p.latents, p.dim), label),
          agrees(
            golden,
            'grad_decoder_projected',
            transposed(r.projected.dataSync(), p.latents, p.dim),
            label,
          ),
          agrees(golden, 'grad_norm', [clipFactor(r.squares.dataSync()[0]).norm], label),
        );
      } else {
        // The reference divides by 0 here and its numbers are not to be copied: the term is left out.
        const finite = [r.loss, r.encoderGrad, r.decoderRowsGrad].every((t) =>
          (t.dataSync() as Float32Array).every(Number.isFinite),
        );
        checks.push({ tensor: `finite (${label})`, error: finite ? 0 : 1, tolerance: 0 });
        checks.push(equal(`loss = l2 (${label})`, r.loss.dataSync(), r.l2.dataSync()));
      }
      tf.dispose(r);
      run.dispose();
    }
  }
  tf.dispose([x, encoder, rows, counters]);
  return checks;
}
