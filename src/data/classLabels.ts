import { findClass } from '../models/classes.js';
import type { ModelSpec } from '../models/spec.js';
import { type ImageSource, imageSourceOf } from './imageSource.js';

/** Label of an image whose class is not known, or is none of the network's. */
export const NO_LABEL = -1;

type Classes = Pick<ModelSpec, 'classNames'> & { readonly options: Pick<ModelSpec['options'], 'numClasses'> };

/**
 * Numbers of the network's classes for those of a data set: by name where the network knows every one of them, in whatever
 * order it has them; else the same where both have as many; else by name, and a class that the network does not know
 * becomes `NO_LABEL`.
 */
function classNumbers(classNames: readonly string[], spec: Classes): readonly number[] {
  const found = classNames.map((name) => findClass(spec, name));
  const isKnown = !found.includes(undefined) && new Set(found).size === found.length;
  if (!isKnown && classNames.length === spec.options.numClasses) return [...classNames.keys()];
  return found.map((number) => number ?? NO_LABEL);
}

/**
 * A data set with its labels numbered as the network's classes are; folders are numbered by the alphabet, a network's
 * classes need not be. In place of the source given, which it closes with its own `close`.
 */
export function labelledFor(source: ImageSource, spec: Classes): ImageSource {
  const numbers = classNumbers(source.classNames, spec);
  const { table } = source;
  const labels = table.labels.map((label) => numbers[label] ?? NO_LABEL);
  const relabelled = imageSourceOf({ ...table, labels });
  return {
    ...relabelled,
    close: () => {
      relabelled.close();
      source.close();
    },
  };
}
