/**
 * B-cos VGGs with the names of the published weights: `features.K` counts convolutions, norms and pools alike; the
 * classifier is convolutional (7x7, then two 1x1) and reads the last map at every place, the average comes last.
 */
import { AvgPool2d } from '../layers/avgPool2d.js';
import { BcosConv2d, type BcosConv2dConfig } from '../layers/bcosConv2d.js';
import { type Architecture, LayerList, type Stage } from './architecture.js';
import { bcosInput, pooledLogits } from './ends.js';
import { createNorm } from './normFactory.js';
import type { FamilyOptions } from './options.js';

/** Kernel of the first classifier layer. */
const CLASSIFIER_KERNEL = 7;

/** Describes a VGG; `seed` of its initial weights, `initialise` false leaves them zero. */
export function vgg(o: FamilyOptions<'vgg'>, seed: number, initialise: boolean): Architecture {
  const list = new LayerList(initialise);
  const stages: Stage[] = [bcosInput(list)];
  const conv = (name: string, config: Omit<BcosConv2dConfig, 'name'>): void => {
    const layer = new BcosConv2d({ name, b: o.b, maxOut: o.maxOut, seed, ...config });
    stages.push(list.stage(name, () => list.add(layer)));
  };
  const taps: string[] = [];
  let index = 0;
  for (const channels of o.stages) {
    for (const outChannels of channels) {
      conv(`features.${index++}`, { outChannels, kernel: 3, padding: 1 });
      const norm = createNorm(`features.${index}`, o);
      if (norm !== null) stages.push(list.stage(`features.${index++}`, () => list.add(norm)));
    }
    const tap = `features.${index++}`;
    stages.push(list.stage(tap, () => list.add(new AvgPool2d({ name: tap, kernel: 2 }))));
    taps.push(tap);
  }
  const padding = Math.floor(CLASSIFIER_KERNEL / 2);
  conv('classifier.0', { outChannels: o.hidden, kernel: CLASSIFIER_KERNEL, padding });
  conv('classifier.1', { outChannels: o.hidden });
  conv('classifier.2', { outChannels: o.numClasses });
  stages.push(pooledLogits(list, '', o));
  return { stages, taps, head: 'classifier.2' };
}
