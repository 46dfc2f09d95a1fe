import * as tf from '@tensorflow/tfjs';
import { chainParts, type NetworkPart, purePart, withGain } from '../../src/explain/parts.js';
import { Attention } from '../../src/layers/attention.js';
import { BatchNormUncentered2d } from '../../src/layers/batchNormUncentered2d.js';
import { BcosConv2d } from '../../src/layers/bcosConv2d.js';
import { BcosLinear } from '../../src/layers/bcosLinear.js';
import { DetachableGNLayerNorm2d } from '../../src/layers/detachableGroupNorm2d.js';
import { DetachableLayerNorm } from '../../src/layers/detachableLayerNorm.js';
import { LogitLayer } from '../../src/layers/logitLayer.js';
import { PosEmbSinCos2d } from '../../src/layers/posEmbSinCos2d.js';
import { layoutOf } from '../../src/layers/stateLayout.js';
import type { GoldenCase } from '../goldens/format.js';

/** Stages in order, each under its reference name: the taps. */
export type Stages = readonly (readonly [name: string, part: NetworkPart])[];

/** Builds a layer for an input shape and gives it its weights of a golden case. */
export function filled<L extends tf.layers.Layer>(layer: L, inputShape: tf.Shape, golden: GoldenCase): L {
  layer.build(inputShape);
  for (const weight of layer.weights) {
    const parameter = weight.originalName.split('/').pop()!;
    const source = golden.tensors[`weight:${layer.name}.${parameter}`];
    if (source === undefined) {
      if (!/running_mean|num_batches_tracked/.test(parameter))
        throw new Error(`no weight ${layer.name}.${parameter}`);
      continue;
    }
    const shape = weight.shape as number[];
    const values = layoutOf(layer, parameter).fromTorch(source.data as Float32Array, shape);
    weight.write(tf.tidy(() => tf.tensor(values, shape)));
  }
  return layer;
}

/** A layer in explanation mode. */
export function explained(layer: tf.layers.Layer): NetworkPart {
  return purePart((x) => layer.call(x, { explain: true }) as tf.Tensor);
}

interface Builder {
  conv(name: string, inputs: number, outputs: number, kernel: number, stride: number): NetworkPart;
  norm(name: string, channels: number): NetworkPart;
}

function builder(golden: GoldenCase, b: number, maxOut: number): Builder {
  return {
    conv: (name, inputs, outputs, kernel, stride) =>
      explained(
        filled(
          new BcosConv2d({
            name,
            outChannels: outputs,
            kernel,
            stride,
            padding: (kernel - 1) / 2,
            b,
            maxOut,
          }),
          [null, null, null, inputs],
          golden,
        ),
      ),
    norm: (name, channels) =>
      explained(
        filled(new BatchNormUncentered2d({ name, bias: false }), [null, null, null, channels], golden),
      ),
  };
}

/** Mean over positions, then 1/T; the bias is not added. */
function head(temperature: number | null): NetworkPart {
  const layer = new LogitLayer({ temperature, bias: null });
  return purePart((x) => layer.call(tf.mean(x, [1, 2])));
}

function cnn(golden: GoldenCase): Stages {
  const {
    b = 2,
    max_out: maxOut = 1,
    widths = [12, 24, 32],
    temperature = null,
  } = golden.params.network_args;
  const { conv, norm } = builder(golden, b, maxOut);
  const stages: [string, NetworkPart][] = [];
  let inputs = 6;
  widths.forEach((width: number, i: number) => {
    stages.push([`conv${i + 1}`, conv(`conv${i + 1}`, inputs, width, 3, i === 0 ? 1 : 2)]);
    stages.push([`norm${i + 1}`, norm(`norm${i + 1}`, width)]);
    inputs = width;
  });
  stages.push(['fc', conv('fc', inputs, 10, 1, 1)], ['scores', head(temperature)]);
  return stages;
}

function resnet(golden: GoldenCase): Stages {
  const { inplanes = 8, temperature = null } = golden.params.network_args;
  const { conv, norm } = builder(golden, 2, 1);
  const block = (name: string, inputs: number, outputs: number, stride: number): NetworkPart => {
    const main = chainParts([
      conv(`${name}.conv1`, inputs, outputs, 3, stride),
      norm(`${name}.bn1`, outputs),
      conv(`${name}.conv2`, outputs, outputs, 3, 1),
      norm(`${name}.bn2`, outputs),
    ]);
    const shortcut =
      stride === 1 && inputs === outputs
        ? purePart((x) => x)
        : chainParts([
            conv(`${name}.downsample.0`, inputs, outputs, 1, stride),
            norm(`${name}.downsample.1`, outputs),
          ]);
    return purePart((x) => tf.add(main.run(x, []), shortcut.run(x, [])));
  };
  const stages: [string, NetworkPart][] = [
    ['conv1', conv('conv1', 6, inplanes, 3, 1)],
    ['bn1', norm('bn1', inplanes)],
  ];
  let inputs = inplanes;
  for (const stage of [1, 2, 3]) {
    const outputs = inplanes * 2 ** (stage - 1);
    const blocks: NetworkPart[] = [];
    for (let i = 0; golden.tensors[`weight:layer${stage}.${i}.conv1.linear.weight`] !== undefined; i++) {
      blocks.push(
        block(`layer${stage}.${i}`, i === 0 ? inputs : outputs, outputs, stage > 1 && i === 0 ? 2 : 1),
      );
    }
    stages.push([`layer${stage}`, chainParts(blocks)]);
    inputs = outputs;
  }
  stages.push(['fc', conv('fc', inputs, 10, 1, 1)], ['scores', head(temperature)]);
  return stages;
}

/** Heads of the transformer goldens: their files do not say; three is the number that reproduces them. */
const HEADS = 3;

function vit(golden: GoldenCase): Stages {
  const p = '0.to_patch_embedding';
  const widthOf = (name: string): number => golden.tensors[`weight:${name}`].shape[0];
  const linear = (name: string, inputs: number): NetworkPart => {
    const outFeatures = widthOf(`${name}.linear.weight`);
    return explained(filled(new BcosLinear({ name, outFeatures }), [null, null, inputs], golden));
  };
  const layerNorm = (name: string, channels: number): NetworkPart =>
    explained(filled(new DetachableLayerNorm({ name, bias: false }), [null, null, channels], golden));
  const stem: NetworkPart[] = [];
  let inputs = 6;
  for (let i = 0; golden.tensors[`weight:${p}.conv_stem.${i}.linear.weight`] !== undefined; i += 3) {
    const outputs = widthOf(`${p}.conv_stem.${i}.linear.weight`);
    const norm = new DetachableGNLayerNorm2d({ name: `${p}.conv_stem.${i + 1}`, bias: false });
    stem.push(
      builder(golden, 2, 1).conv(`${p}.conv_stem.${i}`, inputs, outputs, 3, outputs > inputs ? 2 : 1),
      explained(filled(norm, [null, null, null, outputs], golden)),
    );
    inputs = outputs;
  }
  const dim = widthOf(`${p}.linear.linear.weight`);
  const embed = new BcosLinear({ name: `${p}.linear`, outFeatures: dim });
  stem.push(explained(filled(embed, [null, null, null, inputs], golden)));
  const position: NetworkPart = {
    constants: ['position'],
    run: (x, [gain]) => {
      const layer = new PosEmbSinCos2d({ name: 'position' });
      return withGain(layer.call(x), layer.call(tf.zerosLike(x)), gain);
    },
  };
  const residual = (part: NetworkPart): NetworkPart => purePart((x) => tf.add(x, part.run(x, [])));
  const encoder = (name: string): NetworkPart => {
    const qkv = golden.tensors[`weight:${name}.attn.to_qkv.weight`];
    const weight = tf.tensor2d(qkv.data as Float32Array, qkv.shape as [number, number]);
    const mixed = purePart((x) => {
      const flat = tf.matMul(tf.reshape(x, [-1, dim]), weight, false, true);
      return tf.reshape(flat, [x.shape[0], -1, qkv.shape[0]]);
    });
    const heads = explained(new Attention({ name: `${name}.attn.heads`, heads: HEADS }));
    const hidden = widthOf(`${name}.ff.net.linear1.linear.weight`);
    return chainParts([
      residual(
        chainParts([layerNorm(`${name}.attn.norm`, dim), mixed, heads, linear(`${name}.attn.to_out`, dim)]),
      ),
      residual(
        chainParts([
          layerNorm(`${name}.ff.net.norm`, dim),
          linear(`${name}.ff.net.linear1`, dim),
          linear(`${name}.ff.net.linear2`, hidden),
        ]),
      ),
    ]);
  };
  const stages: [string, NetworkPart][] = [[p, chainParts([...stem, position])]];
  for (let i = 0; golden.tensors[`weight:0.transformer.encoder_${i}.attn.norm.weight`] !== undefined; i++) {
    stages.push([`0.transformer.encoder_${i}`, encoder(`0.transformer.encoder_${i}`)]);
  }
  const head = chainParts([
    purePart((x) => tf.mean(x, 1, true)),
    layerNorm('0.linear_head.norm', dim),
    linear('0.linear_head.linear', dim),
    purePart((x) => tf.squeeze(x, [1])),
  ]);
  return [...stages, ['scores', head]];
}

/** The network of a golden case as stages, or null for a kind that is not built yet. */
export async function goldenNetwork(golden: GoldenCase): Promise<Stages | null> {
  switch (golden.params.network) {
    case 'cnn':
      return cnn(golden);
    case 'resnet':
      return resnet(golden);
    case 'vit':
      return vit(golden);
    default:
      return null;
  }
}

/** The stages after `from` up to and with `to` as one part; null: from the image, to the scores. */
export function between(stages: Stages, from: string | null, to: string | null): NetworkPart {
  const indexOf = (name: string): number => {
    const index = stages.findIndex(([stage]) => stage === name);
    if (index < 0) throw new Error(`no stage ${name}`);
    return index;
  };
  const start = from === null ? 0 : indexOf(from) + 1;
  const end = to === null ? stages.length : indexOf(to) + 1;
  return chainParts(stages.slice(start, end).map(([, part]) => part));
}
