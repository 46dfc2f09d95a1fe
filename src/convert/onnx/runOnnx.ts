import { dirname } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import type { BcosModel } from '../../models/bcosModel.js';
import { IMAGENET_MEAN, IMAGENET_STD } from '../../models/ends.js';
import { modelEntry } from '../../models/registry.js';
import { FileSource } from '../byteSource.js';
import { CheckpointErrors } from '../checkpointError.js';
import {
  type Difference,
  differenceOf,
  type InputParity,
  parityInputs,
  scoreDifference,
} from '../parity/networkParity.js';
import { ExternalFiles } from './externalData.js';
import { type OnnxGraph, type OnnxPort, readOnnx } from './readOnnx.js';

/** Element type of float32 in ONNX. */
const FLOAT = 1;

/** How a graph takes its picture. */
interface InputForm {
  readonly port: OnnxPort;
  readonly channels: 3 | 6;
  readonly isChannelsFirst: boolean;
  readonly size: readonly [number | null, number | null];
  readonly batch: number;
}

function inputForm(graph: OnnxGraph): InputForm | string {
  if (graph.inputs.length !== 1) return `it has ${graph.inputs.length} inputs`;
  const [port] = graph.inputs;
  if (port.type !== FLOAT || port.shape.length !== 4)
    return `its input "${port.name}" is no batch of float32 pictures`;
  const [batch, first, second, last] = port.shape;
  if (first === 3 || first === 6)
    return { port, channels: first, isChannelsFirst: true, size: [second, last], batch: batch ?? 1 };
  if (last === 3 || last === 6)
    return { port, channels: last, isChannelsFirst: false, size: [first, second], batch: batch ?? 1 };
  return `its input "${port.name}" has neither 3 nor 6 channels`;
}

/** The picture as the graph takes it: encoded or normalised, in its order of axes. */
function feedOf(image: tf.Tensor4D, form: InputForm, isNormalised: boolean): tf.Tensor4D {
  return tf.tidy(() => {
    let x: tf.Tensor4D = image;
    if (form.channels === 6) x = tf.concat([x, tf.sub(1, x)], 3);
    else if (isNormalised) x = tf.div(tf.sub(x, [...IMAGENET_MEAN]), [...IMAGENET_STD]);
    x = tf.tile(x, [form.batch, 1, 1, 1]);
    return form.isChannelsFirst ? tf.transpose(x, [0, 3, 1, 2]) : x.clone();
  });
}

/** Prefix of outputs that are hidden features, as this package names them. */
const FEATURES = 'features_';

/** Hidden features that a file gives, channels first, against those of the network's taps. */
async function featureDifferences(
  model: BcosModel,
  image: tf.Tensor4D,
  outputs: Readonly<Record<string, { readonly data: unknown }>>,
): Promise<Difference[]> {
  const found: Difference[] = [];
  for (const [name, { data }] of Object.entries(outputs)) {
    const tap = name.slice(FEATURES.length);
    if (!name.startsWith(FEATURES) || !model.stageNames.includes(tap)) continue;
    const ours = tf.tidy(() => {
      const x = model.segment(null, tap).apply(image, { training: false }) as tf.Tensor;
      return x.rank === 4 ? tf.transpose(x, [0, 3, 1, 2]) : x;
    });
    found.push(differenceOf(tap, data as Float32Array, (await ours.data()) as Float32Array));
    ours.dispose();
  }
  return found;
}

/**
 * Runs the file itself in ONNX Runtime and the network that was made from it on the same noise and photograph, and
 * compares the logits. A text where that is not possible. Throws what importing onnxruntime-node or
 * loading the file throws.
 */
export async function compareWithOnnx(
  path: string,
  model: BcosModel,
  photo: string | null,
): Promise<InputParity[] | string> {
  const source = new FileSource(path);
  const errors = new CheckpointErrors(path);
  const graph = source.whileOpen(() => readOnnx(source, new ExternalFiles(dirname(path), errors), errors));
  const form = inputForm(graph);
  if (typeof form === 'string') return form;
  const classes = model.spec.options.numClasses;
  const output =
    graph.outputs.find(({ name }) => name === 'logits') ??
    graph.outputs.find(({ shape }) => shape.length === 2 && shape[1] === classes) ??
    graph.outputs[0];
  // By its path, so that numbers beside the file are found.
  const ort = await import('onnxruntime-node');
  const session = await ort.InferenceSession.create(path, { logSeverityLevel: 3 });
  const [height, width] = model.spec.preprocessing.crop;
  const inputs = await parityInputs(model, photo, [form.size[0] ?? height, form.size[1] ?? width]);
  // Files of this package take pictures in [0, 1]; so do B-cos networks of three channels, which add the inverse themselves.
  const isNormalised = !graph.metadata.has('arch') && !modelEntry(model.spec.arch).bcos;
  const results: InputParity[] = [];
  try {
    for (const { name, image } of inputs) {
      const feed = feedOf(image, form, isNormalised);
      const values = (await feed.data()) as Float32Array;
      const theirs = await session.run({ [form.port.name]: new ort.Tensor('float32', values, feed.shape) });
      const ours = tf.tidy(() => model.network.apply(image, { training: false }) as tf.Tensor);
      const actual = (await ours.data()) as Float32Array;
      const expected = (theirs[output.name].data as Float32Array).subarray(0, classes);
      const stages = await featureDifferences(model, image, theirs);
      results.push({
        input: name,
        stages: [...stages, scoreDifference(model, output.name, expected, actual)],
      });
      tf.dispose([feed, ours]);
    }
  } finally {
    tf.dispose(inputs.map(({ image }) => image));
    await session.release();
  }
  return results;
}
