/** First and last stages that architectures share. */
import { AddInverse } from '../layers/addInverse.js';
import { GlobalAvgPool2d } from '../layers/globalAvgPool2d.js';
import { LogitLayer } from '../layers/logitLayer.js';
import { Normalise } from '../layers/normalise.js';
import { chain, type LayerList, type Stage } from './architecture.js';

/** Channel means and deviations of ImageNet, by which torchvision's networks expect their input. */
export const IMAGENET_MEAN: readonly number[] = [0.485, 0.456, 0.406];
export const IMAGENET_STD: readonly number[] = [0.229, 0.224, 0.225];

/** Stage at whose end the image has the network's input channels: pixels are attributed there. */
export const INPUT_TAP = 'input';

export interface LogitOptions {
  readonly logitBias: number | null;
  readonly temperature: number | null;
}

/** Stage `INPUT_TAP` of a B-cos network: the image and its inverse, six channels. */
export function bcosInput(list: LayerList): Stage {
  return list.stage(INPUT_TAP, () => list.add(new AddInverse({ name: 'input_encoding' })));
}

/** Stage `INPUT_TAP` of a standard network: three normalised channels. */
export function normalisedInput(list: LayerList): Stage {
  const config = { name: 'input_encoding', mean: IMAGENET_MEAN, std: IMAGENET_STD };
  return list.stage(INPUT_TAP, () => list.add(new Normalise(config)));
}

/** Stage `logits`: temperature and bias. */
export function logits(list: LayerList, prefix: string, o: LogitOptions): Stage {
  const config = { name: `${prefix}logit_layer`, bias: o.logitBias, temperature: o.temperature };
  return list.stage('logits', () => list.add(new LogitLayer(config)));
}

/** Stage `logits` of class scores at each position: their mean, temperature and bias. */
export function pooledLogits(list: LayerList, prefix: string, o: LogitOptions): Stage {
  return list.stage('logits', () =>
    chain(list.add(new GlobalAvgPool2d({ name: `${prefix}avgpool` })), logits(list, prefix, o).wire),
  );
}
