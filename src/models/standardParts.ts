/**
 * What a network in torchvision's layout is made of: the plain layers of a standard network, or those of its B-cosified
 * twin, which has the same wiring (ReLU stays) and the same names.
 */
import { AvgPool2d } from '../layers/avgPool2d.js';
import { BatchNorm2d } from '../layers/batchNorm2d.js';
import { BatchNormUncentered2d } from '../layers/batchNormUncentered2d.js';
import { BcosifiedConv2d } from '../layers/bcosifiedConv2d.js';
import { Conv2d, type Conv2dConfig } from '../layers/conv2d.js';
import { GlobalAvgPool2d } from '../layers/globalAvgPool2d.js';
import { Linear } from '../layers/linear.js';
import { MaxPool2d } from '../layers/maxPool2d.js';
import type { LayerList, Stage, Wiring } from './architecture.js';
import { bcosInput, type LogitOptions, logits, normalisedInput, pooledLogits } from './ends.js';

export type ConvOptions = Omit<Conv2dConfig, 'name' | 'bias'>;

export interface HeadOptions extends LogitOptions {
  readonly numClasses: number;
  readonly seed: number;
}

export interface StandardParts {
  readonly input: (list: LayerList) => Stage;
  readonly conv: (list: LayerList, name: string, config: ConvOptions) => Wiring;
  readonly norm: (list: LayerList, name: string) => Wiring;
  /** The 3x3 pool of stride 2 behind the stem. */
  readonly stemPool: (list: LayerList, name: string) => Wiring;
  /** Classifier, average over positions, logits. */
  readonly head: (list: LayerList, name: string, o: HeadOptions) => Stage[];
}

const STEM_POOL = { kernel: 3, stride: 2, padding: 1 };

/** Plain convolutions without bias, batch norm, max pooling, the classifier behind the average. */
export const STANDARD_PARTS: StandardParts = {
  input: normalisedInput,
  conv: (list, name, config) => list.add(new Conv2d({ name, bias: false, ...config })),
  norm: (list, name) => list.add(new BatchNorm2d({ name })),
  stemPool: (list, name) => list.add(new MaxPool2d({ name, ...STEM_POOL })),
  head: (list, name, o) => {
    const config = { name, outFeatures: o.numClasses, initial: 'uniform-fan-in', seed: o.seed } as const;
    return [
      list.stage('avgpool', () => list.add(new GlobalAvgPool2d({ name: 'avgpool' }))),
      list.stage(name, () => list.add(new Linear(config))),
      logits(list, '', o),
    ];
  },
};

export interface BcosifiedOptions {
  /** First value of every layer's B. */
  readonly b: number;
  /** Biases of norms and classifier; false: there are none. */
  readonly bias: boolean;
  readonly pool: 'max' | 'avg';
}

/**
 * B-cosified layers on six channels, norms that do not subtract the mean (its share is in their bias), the classifier as
 * a 1x1 convolution before the average.
 */
export function bcosifiedParts({ b, bias, pool }: BcosifiedOptions): StandardParts {
  return {
    input: bcosInput,
    conv: (list, name, config) => list.add(new BcosifiedConv2d({ name, b, ...config })),
    norm: (list, name) => list.add(new BatchNormUncentered2d({ name, bias })),
    stemPool: (list, name) =>
      list.add(
        pool === 'max' ? new MaxPool2d({ name, ...STEM_POOL }) : new AvgPool2d({ name, ...STEM_POOL }),
      ),
    head: (list, name, o) => {
      const config = { name, outChannels: o.numClasses, initial: 'uniform-fan-in', seed: o.seed } as const;
      return [
        list.stage(name, () => list.add(new BcosifiedConv2d({ ...config, b, bias }))),
        pooledLogits(list, '', o),
      ];
    },
  };
}
