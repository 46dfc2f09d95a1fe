import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { convertCheckpoint } from '../../src/convert/convertCheckpoint.js';
import { readCheckpoint } from '../../src/convert/readCheckpoint.js';
import { gradientToImage } from '../../src/explain/picture/gradientPicture.js';
import type { BcosModel } from '../../src/models/bcosModel.js';
import { loadModel } from '../../src/models/loadModel.js';
import { close, type GoldenCheck, type GoldenSuite } from './checks.js';
import { type GoldenTensor, readGoldenSafetensors } from './format.js';

interface Facts {
  readonly top: readonly number[];
  readonly noise: Readonly<Record<string, number>>;
}

/** Values of a [N, C, H, W] golden in the order [N, H, W, C]. */
function channelsLast(tensor: GoldenTensor): Float32Array {
  const [count, channels, height, width] = tensor.shape;
  const plane = height * width;
  const data = tensor.data as Float32Array;
  const out = new Float32Array(data.length);
  for (let n = 0; n < count; n++)
    for (let c = 0; c < channels; c++)
      for (let p = 0; p < plane; p++)
        out[(n * plane + p) * channels + c] = data[(n * channels + c) * plane + p];
  return out;
}

/** Images [N, H, W, 3] in [0, 1] from the golden's bytes [N, 3, H, W]. */
function imagesOf(tensor: GoldenTensor): tf.Tensor4D {
  const [count, channels, height, width] = tensor.shape;
  const values = channelsLast({
    ...tensor,
    data: Float32Array.from(tensor.data as Uint8Array, (v) => v / 256),
  });
  return tf.tensor4d(values, [count, height, width, channels]);
}

/** Gradient of a class's logit (one class an image) at the input of a part, in explanation mode. */
function explain(part: tf.LayersModel, x: tf.Tensor, classes: readonly number[]): Float32Array {
  return tf.tidy(() => {
    const choice = tf.oneHot(tf.tensor1d([...classes], 'int32'), (part.outputs[0].shape[1] as number) ?? 0);
    const target = (value: tf.Tensor): tf.Tensor =>
      tf.sum(tf.mul(part.apply(value, { explain: true }) as tf.Tensor, tf.cast(choice, 'float32')));
    return tf.grad(target)(x).dataSync() as Float32Array;
  });
}

function runNetwork(model: BcosModel, golden: Record<string, GoldenTensor>, facts: Facts): GoldenCheck[] {
  const checks: GoldenCheck[] = [];
  const check = (name: string, actual: ArrayLike<number>, expected: ArrayLike<number>): void => {
    checks.push(close(name, actual, expected, facts.noise[name]));
  };
  tf.tidy(() => {
    const images = imagesOf(golden.image_u8);
    const valuesAt = (tap: string | null): Float32Array =>
      (model.segment(null, tap).apply(images, { training: false }) as tf.Tensor).dataSync() as Float32Array;
    check('logits', valuesAt(null), golden.logits.data as Float32Array);
    for (const tap of ['layer1', 'layer2', 'layer3', 'fc'])
      check(`stage.${tap}`, valuesAt(tap), channelsLast(golden[`stage.${tap}`]));

    const encoded = model.segment(null, 'input').apply(images) as tf.Tensor;
    const input = encoded.dataSync() as Float32Array;
    const upper = model.segment('input', null);
    const gradient = explain(upper, encoded, facts.top);
    check('grad_top', gradient, channelsLast(golden.grad_top));
    for (const tap of ['layer2', 'layer3']) {
      const features = model.segment(null, tap).apply(images, { training: false }) as tf.Tensor;
      check(
        `grad_top.${tap}`,
        explain(model.segment(tap, null), features, facts.top),
        channelsLast(golden[`grad_top.${tap}`]),
      );
    }

    const [count, classes, height, width] = golden.contribution_maps.shape;
    const plane = height * width;
    const maps = new Float64Array(golden.contribution_maps.data.length);
    for (let c = 0; c < classes; c++) {
      const perClass = explain(upper, encoded, new Array<number>(count).fill(c));
      for (let n = 0; n < count; n++)
        for (let p = 0; p < plane; p++)
          for (let k = 0; k < 6; k++) {
            const at = (n * plane + p) * 6 + k;
            maps[(n * classes + c) * plane + p] += input[at] * perClass[at];
          }
    }
    check('contribution_maps', maps, golden.contribution_maps.data as Float32Array);

    const rgba = golden.explanation_rgba.data as Float32Array;
    const pictures = new Float64Array(rgba.length);
    for (let n = 0; n < count; n++) {
      const window = (values: Float32Array): Float32Array =>
        values.subarray(n * plane * 6, (n + 1) * plane * 6);
      pictures.set(gradientToImage(window(input), window(gradient), height, width), n * plane * 4);
    }
    check('explanation_rgba', pictures, rgba);
  });
  return checks;
}

/** Converts a checkpoint to a network, computes with it, and converts it back to each kind of file. */
async function runCheckpoint(
  folder: string,
  file: string,
  prefix: string,
  ema: boolean,
): Promise<GoldenCheck[]> {
  const work = mkdtempSync(join(tmpdir(), 'fact-resnet20-'));
  const source = join(folder, file);
  try {
    const target = join(work, 'network');
    await convertCheckpoint(source, target, { ema });
    const golden = readGoldenSafetensors(join(folder, 'resnet20.safetensors'));
    const facts = JSON.parse(readFileSync(join(folder, 'resnet20.json'), 'utf8')) as Facts;
    const model = await loadModel(target);
    let checks: GoldenCheck[];
    try {
      checks = runNetwork(model, golden, facts);
    } finally {
      model.dispose();
    }
    const original = (await readCheckpoint(source)).tensors.filter(({ name }) => name.startsWith(prefix));
    for (const back of ['back.pth', 'back.ckpt', 'back.safetensors']) {
      await convertCheckpoint(target, join(work, back));
      const { tensors } = await readCheckpoint(join(work, back));
      const differing = original.filter((tensor, i) => {
        const name = (back.endsWith('.ckpt') ? 'state_dict.' : '') + tensor.name.slice(prefix.length);
        const found = tensors[i];
        return (
          found?.name !== name ||
          found.dtype !== tensor.dtype ||
          String(found.shape) !== String(tensor.shape) ||
          Buffer.compare(found.bytes, tensor.bytes) !== 0
        );
      });
      const missing = Math.abs(tensors.length - original.length);
      checks.push({
        tensor: `${back}: tensors that differ`,
        error: differing.length + missing,
        tolerance: 0,
      });
    }
    return checks;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** The golden ResNet-20 checkpoints: converted, they compute the reference's numbers; converted back, they are the same bytes. */
export const resnet20Suite: GoldenSuite = {
  name: 'resnet20 checkpoints',
  part: 'bcos/resnet20.pth',
  cases: (folder) => {
    const bcos = join(folder, 'bcos');
    return [
      { name: 'plain', run: () => runCheckpoint(bcos, 'resnet20.pth', '', false) },
      {
        name: 'Lightning',
        run: () => runCheckpoint(bcos, 'resnet20_lightning.ckpt', 'state_dict.model.', false),
      },
      {
        name: 'Lightning, average',
        run: () => runCheckpoint(bcos, 'resnet20_lightning.ckpt', 'state_dict.ema.module.', true),
      },
    ];
  },
};
