import { dirname } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import type { BcosModel } from '../../models/bcosModel.js';
import { IMAGENET_MEAN, IMAGENET_STD } from '../../models/ends.js';
import { modelEntry } from '../../models/registry.js';
import { FileSource } from '../byteSource.js';
import { CheckpointErrors } from '../checkpointError.js';
import { ExternalFiles } from '../onnx/externalData.js';
import { type InputParity, parityInputs, scoreDifference } from '../parity/networkParity.js';
import { parseModelJson } from './modelJson.js';

/** What tfjs loads a network from, its files already read. */
function artifactsOf(path: string): { artifacts: tf.io.ModelArtifacts; isGraph: boolean } {
  const errors = new CheckpointErrors(path);
  const source = new FileSource(path, 'the model.json of a tfjs network');
  const model = parseModelJson(source.read(0, source.size), errors);
  const files = new ExternalFiles(dirname(path), errors);
  const pieces = model.groups.flatMap(({ paths }) =>
    paths.map((one) => {
      const file = files.file(one, 'weightsManifest');
      return file.read(0, file.size);
    }),
  );
  const whole = Buffer.concat(pieces);
  const json = JSON.parse(model.text) as { modelTopology: object; signature?: object };
  const specs = model.groups.flatMap(({ weights }) => weights) as unknown as tf.io.WeightsManifestEntry[];
  return {
    isGraph: model.format === 'graph-model',
    artifacts: {
      modelTopology: json.modelTopology,
      ...(json.signature === undefined ? {} : { signature: json.signature }),
      weightSpecs: specs,
      weightData: whole.buffer.slice(whole.byteOffset, whole.byteOffset + whole.length),
    },
  };
}

/**
 * Runs a tfjs network through tfjs's own loaders and the network that was made from it on the same noise and photograph,
 * and compares the logits. A text where that is not possible.
 */
export async function compareWithTfjs(
  path: string,
  model: BcosModel,
  photo: string | null,
): Promise<InputParity[] | string> {
  const { artifacts, isGraph } = artifactsOf(path);
  const handler = tf.io.fromMemory(artifacts);
  const theirs = isGraph ? await tf.loadGraphModel(handler) : await tf.loadLayersModel(handler);
  try {
    if (theirs.inputs.length !== 1) return `it has ${theirs.inputs.length} inputs`;
    const shape = theirs.inputs[0].shape as (number | null)[] | undefined;
    const channels = shape?.[3];
    if (shape?.length !== 4 || (channels !== 3 && channels !== 6))
      return 'its input is no batch of pictures [N,H,W,3 or 6]';
    const [height, width] = model.spec.preprocessing.crop;
    const fixed = (size: number | null, otherwise: number): number =>
      size !== null && size > 0 ? size : otherwise;
    const inputs = await parityInputs(model, photo, [fixed(shape[1], height), fixed(shape[2], width)]);
    const isNormalised = !modelEntry(model.spec.arch).bcos;
    const results: InputParity[] = [];
    for (const { name, image } of inputs) {
      const [expected, actual] = tf.tidy(() => {
        const encoded =
          channels === 6
            ? tf.concat([image, tf.sub(1, image)], 3)
            : isNormalised
              ? tf.div(tf.sub(image, [...IMAGENET_MEAN]), [...IMAGENET_STD])
              : image;
        const result = theirs.predict(encoded) as tf.Tensor;
        return [result, model.network.apply(image, { training: false }) as tf.Tensor];
      });
      const a = (await expected.data()) as Float32Array;
      const b = (await actual.data()) as Float32Array;
      results.push({ input: name, stages: [scoreDifference(model, 'logits', a, b)] });
      tf.dispose([expected, actual]);
    }
    tf.dispose(inputs.map(({ image }) => image));
    return results;
  } finally {
    theirs.dispose();
  }
}
