import * as tf from '@tensorflow/tfjs';
import { chainParts, type NetworkPart, purePart } from '../../src/explain/parts.js';
import { BatchNormUncentered2d } from '../../src/layers/batchNormUncentered2d.js';
import { BcosConv2d } from '../../src/layers/bcosConv2d.js';
import { LogitLayer } from '../../src/layers/logitLayer.js';
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

/** The network of a golden case as stages, or null for a kind that is not built yet. */
export async function goldenNetwork(golden: GoldenCase): Promise<Stages | null> {
  switch (golden.params.network) {
    case 'cnn':
      return cnn(golden);
    case 'resnet':
      return resnet(golden);
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
