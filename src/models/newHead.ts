import type { BcosModel } from './bcosModel.js';
import { type CreateOptions, createModel } from './createModel.js';

/** Options of a new head; what is not given stays as it was, the logit bias follows the number of classes. */
export type HeadOptions = Pick<
  CreateOptions,
  'classNames' | 'seed' | 'logitBias' | 'temperature' | 'inputSize' | 'preprocessing'
>;

/**
 * A copy of a network with another number of classes: all weights are copied but those of the classifier's last map,
 * which are fresh. For fine-tuning; the source stays as it is and keeps its owner.
 */
export function withNewHead(model: BcosModel, numClasses: number, options: HeadOptions = {}): BcosModel {
  const { spec } = model;
  const { logitBias: _, ...kept } = spec.options;
  const { inputSize, preprocessing } = spec;
  const copy = createModel(spec.arch, { inputSize, preprocessing, ...kept, ...options, numClasses });
  const source = new Map(model.stateDict().map((entry) => [entry.name, entry]));
  const { head } = copy;
  for (const entry of copy.stateDict()) {
    if (head !== null && entry.name.startsWith(`${head}.`)) continue;
    const from = source.get(entry.name);
    if (from !== undefined) entry.variable.assign(from.variable.clone());
  }
  copy.describe({ source: spec.source });
  return copy;
}
