import * as tf from '@tensorflow/tfjs';
import { compile } from '../../src/engine/compile.js';
import { decode, decodeSparse, encode, encodeSparse } from '../../src/layers/topKSae.js';
import { channelsLast } from './channelsLast.js';
import { close, type GoldenCheck } from './checks.js';
import { folderSuite } from './folderSuite.js';
import { type GoldenCase, readFactCase } from './format.js';

/** The values of a map [B,H,W,C] in the golden's order [B,C,H,W]; tokens as they are. */
function goldenOrder(tensor: tf.Tensor): Float32Array {
  return tf.tidy(
    () => (tensor.rank === 4 ? tf.transpose(tensor, [0, 3, 1, 2]) : tensor).dataSync() as Float32Array,
  );
}

function checksOf(golden: GoldenCase, label: string, actual: Record<string, Float32Array>): GoldenCheck[] {
  return Object.entries(actual).map(([tensor, values]) => {
    const { data, noise } = golden.tensors[tensor];
    return close(`${tensor} (${label})`, values, data as Float64Array, noise);
  });
}

/** Ties: the values and the number of selections are fixed, which of the tied is kept is the library's choice. */
function tieChecks(golden: GoldenCase, label: string, activations: Float32Array): GoldenCheck[] {
  const { must_select: must, may_select: may, relu, sorted_selected_values: sorted } = golden.tensors;
  const latents = golden.params.latents as number;
  let wrong = 0;
  const falling = new Float64Array(activations.length);
  for (let p = 0; p < activations.length; p += latents) {
    const row = activations.subarray(p, p + latents);
    row.forEach((value, j) => {
      if (must.data[p + j] === 1 && value === 0) wrong++;
      if (value !== 0 && must.data[p + j] === 0 && may.data[p + j] === 0) wrong++;
      if (value !== 0 && value !== relu.data[p + j]) wrong++;
      // By index: of two tied latents the later one is never kept without the earlier one.
      const earlierTied = row.subarray(0, j).some((v, i) => v === 0 && relu.data[p + i] === value);
      if (value !== 0 && earlierTied) wrong++;
    });
    falling.set(Float64Array.from(row).sort().reverse(), p);
  }
  return [
    { tensor: `selection (${label})`, error: wrong, tolerance: 0 },
    close(`sorted_selected_values (${label})`, falling, sorted.data as Float64Array, sorted.noise),
  ];
}

/** Every quantity of a case as a function of tensors: activations, reconstruction, their gradients. */
function quantities(k: number) {
  return (x: tf.Tensor, e: tf.Tensor2D, d: tf.Tensor2D, gAct: tf.Tensor, gRec: tf.Tensor) => {
    const [gradActX, gradActE] = tf.grads((x, e) => tf.sum(tf.mul(encode(x, e as tf.Tensor2D, k), gAct)))([
      x,
      e,
    ]);
    const [gradRecX, gradRecE, gradRecD] = tf.grads((x, e, d) =>
      tf.sum(tf.mul(decode(encode(x, e as tf.Tensor2D, k), d as tf.Tensor2D), gRec)),
    )([x, e, d]);
    const sparse = encodeSparse(x, e, k);
    return {
      activations: encode(x, e, k),
      reconstruction: decode(encode(x, e, k), d),
      sparseReconstruction: decodeSparse(sparse, tf.transpose(d)),
      gradActX,
      gradActE,
      gradRecX,
      gradRecE,
      gradRecD,
    };
  };
}

async function runCase(path: string): Promise<readonly GoldenCheck[]> {
  const golden = readFactCase(path);
  const { k, latents } = golden.params as { k: number; latents: number };
  const x = channelsLast(golden.tensors.x);
  const gRec = channelsLast(golden.tensors.g_rec);
  const gAct = tf.tensor(golden.tensors.g_act.data as Float32Array, [...golden.tensors.g_act.shape]);
  const channels = x.shape[x.rank - 1];
  const e = tf.tensor2d(golden.tensors.encoder.data as Float32Array, [latents, channels]);
  const d = tf.tensor2d(golden.tensors.decoder.data as Float32Array, [channels, latents]);
  const checks: GoldenCheck[] = [];
  for (const enabled of [false, true]) {
    const label = enabled ? 'compiled' : 'eager';
    const run = compile(quantities(k), { name: 'golden sae', enabled });
    const q = await run(x, e, d, gAct, gRec);
    if (golden.params.flavour === 'ties') {
      checks.push(...tieChecks(golden, label, q.activations.dataSync() as Float32Array));
    } else {
      const squared = tf.tidy(() => tf.sum(tf.square(tf.sub(x, q.reconstruction)), -1).dataSync());
      checks.push(
        ...checksOf(golden, label, {
          activations: q.activations.dataSync() as Float32Array,
          reconstruction: goldenOrder(q.reconstruction),
          grad_act_x: goldenOrder(q.gradActX),
          grad_act_encoder: q.gradActE.dataSync() as Float32Array,
          grad_rec_x: goldenOrder(q.gradRecX),
          grad_rec_encoder: q.gradRecE.dataSync() as Float32Array,
          grad_rec_decoder: q.gradRecD.dataSync() as Float32Array,
          squared_error_per_position: squared as Float32Array,
        }),
      );
      const { data, noise } = golden.tensors.reconstruction;
      const sparse = goldenOrder(q.sparseReconstruction);
      checks.push(close(`sparse reconstruction (${label})`, sparse, data as Float64Array, noise));
    }
    tf.dispose(q);
    run.dispose();
  }
  tf.dispose([x, e, d, gAct, gRec]);
  return checks;
}

/** The autoencoder's maps and their gradients. */
export const saeSuite = folderSuite('fact/sae', (path) => runCase(path));
