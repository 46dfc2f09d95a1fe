import { type ImageSource, imageSourceOf } from './imageSource.js';

/**
 * Some pictures of a data set, numbered anew in the order given; classes, labels and keys stay. Opens no file before the
 * first read and is closed on its own. Throws RangeError for numbers that the data set has not.
 */
export function subset(source: ImageSource, samples: Uint32Array): ImageSource {
  const { table } = source;
  const outside = samples.find((sample) => sample >= source.size);
  if (outside !== undefined) throw new RangeError(`picture ${outside} of a data set of ${source.size}`);
  return imageSourceOf({
    ...table,
    container: samples.map((sample) => table.container[sample]),
    offset: Float64Array.from(samples, (sample) => table.offset[sample]),
    length: Float64Array.from(samples, (sample) => table.length[sample]),
    keys: Array.from(samples, (sample) => table.keys[sample]),
    labels: Int32Array.from(samples, (sample) => table.labels[sample]),
  });
}
