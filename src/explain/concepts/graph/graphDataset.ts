/*
 * Concept graphs over a data set, class by class: the mean over the images of a class of what its logit is made of. Two
 * passes over the images of one class (which concepts, then what they are made of); memory is that of one class.
 */
import { BatchLoader } from '../../../data/batchLoader.js';
import { NO_LABEL } from '../../../data/classLabels.js';
import { subset } from '../../../data/subset.js';
import type { ExplainImage } from '../../explanation.js';
import type { ConceptData } from '../conceptData.js';
import type { ConceptGraph } from './graph.js';
import { checkScores, type GraphOptions } from './graphImage.js';
import type { GraphImages, GraphPass, ImageTraces } from './graphPass.js';
import { GraphSums } from './graphSums.js';
import { conceptTile } from './graphTiles.js';

/** A class's graph over a data set. */
export interface ClassGraph {
  readonly graph: ConceptGraph;
  /** Small pictures of its concepts, each in the image of the class that has most of it; by node. */
  readonly tiles: ReadonlyMap<string, string>;
  /** Those images, by node. */
  readonly examples: Readonly<Record<string, string>>;
  /** One line for each picture that could not be read. */
  readonly broken: readonly string[];
}

export interface ClassRunOptions extends GraphOptions {
  readonly workers: number;
  /** Told of each image of either pass. */
  readonly onImages?: (count: number) => void;
  readonly signal: AbortSignal;
}

/** Samples of each class that has any, by class number, rising. */
export function samplesByClass(data: Pick<ConceptData, 'source'>): Map<number, Uint32Array> {
  const byClass = new Map<number, number[]>();
  for (let i = 0; i < data.source.size; i++) {
    const label = data.source.label(i);
    if (label === NO_LABEL) continue;
    const list = byClass.get(label) ?? [];
    list.push(i);
    byClass.set(label, list);
  }
  return new Map(
    [...byClass].sort(([a], [b]) => a - b).map(([label, list]) => [label, Uint32Array.from(list)]),
  );
}

/** The image in which a concept is strongest so far. */
interface Example {
  presence: number;
  name: string;
  values: Float32Array;
}

/** Keeps for each chosen concept the image that has most of it. */
class Examples {
  private readonly best = new Map<string, Example>();

  constructor(
    private readonly taps: readonly string[],
    private readonly ids: readonly (readonly number[])[],
  ) {}

  add(name: string, traces: readonly ImageTraces[], pixelsOf: () => Float32Array): void {
    let values: Float32Array | null = null;
    this.ids.forEach((row, l) => {
      for (const id of row) {
        const presence = traces[l].presences[id];
        const key = `${this.taps[l]}/${id}`;
        if (presence <= (this.best.get(key)?.presence ?? 0)) continue;
        values ??= pixelsOf();
        this.best.set(key, { presence, name, values });
      }
    });
  }

  /** Draws them: their images go through the network once more, for the maps. */
  async draw(pass: GraphPass, { spec }: GraphOptions) {
    const [height, width] = pass.imageSize;
    const length = height * width;
    const images = [...new Map([...this.best.values()].map((one) => [one.name, one])).values()];
    const tiles = new Map<string, string>();
    for (let from = 0; from < images.length; from += pass.batchSize) {
      const group = images.slice(from, from + pass.batchSize);
      const batch = new Float32Array(group.length * length * 3);
      group.forEach(({ values }, i) => {
        batch.set(values, i * length * 3);
      });
      const maps = await pass.map({ values: batch, count: group.length }, this.ids);
      for (const [l, row] of this.ids.entries()) {
        for (const [j, id] of row.entries()) {
          const key = `${this.taps[l]}/${id}`;
          const place = group.findIndex(({ name }) => name === this.best.get(key)?.name);
          if (place < 0) continue;
          const map = maps[place][l].slice(j * length, (j + 1) * length);
          const image: ExplainImage = {
            name: group[place].name,
            pixels: Uint8Array.from(group[place].values, (v) => Math.round(255 * v)),
            height,
            width,
            original: null,
            trueClass: null,
          };
          tiles.set(key, await conceptTile(image, map, spec.preprocessing));
        }
      }
    }
    const examples = Object.fromEntries([...this.best].map(([key, { name }]) => [key, name]));
    return { tiles, examples };
  }
}

/** Batches of one class, all of one shape for the pass. */
async function* passOver(loader: BatchLoader, signal: AbortSignal) {
  for await (const batch of loader.epoch(0)) {
    signal.throwIfAborted();
    const images: GraphImages = { values: batch.images, count: batch.size };
    yield { images, keys: batch.keys, size: batch.size };
  }
}

/**
 * The graph of one class. Null where none of its pictures can be read.
 * Throws FactError E_NOT_FINITE, E_WORKER_CRASHED, and the reason of an aborted signal.
 */
export async function graphOfClass(
  pass: GraphPass,
  data: Pick<ConceptData, 'source'>,
  target: number,
  samples: Uint32Array,
  options: ClassRunOptions,
): Promise<ClassGraph | null> {
  const { spec, signal, onImages } = options;
  const loader = new BatchLoader(subset(data.source, samples), {
    batchSize: pass.batchSize,
    seed: 0,
    imageSize: pass.imageSize,
    augmentation: { kind: 'evaluation', resize: spec.preprocessing.resize },
    shuffle: false,
    workers: options.workers,
    // How many may be broken is counted over the whole data set.
    brokenLimit: samples.length,
  });
  try {
    const sums = new GraphSums(pass, { ...options, target, hasRegions: false });
    for await (const { images, keys, size } of passOver(loader, signal)) {
      const weights = await pass.weigh(images, target);
      weights.forEach((one, i) => {
        checkScores(spec, keys[i], one.scores);
        sums.addWeights(keys[i], one);
      });
      onImages?.(size);
    }
    if (sums.images === 0) return null;
    const ids = sums.choose();
    const taps = pass.levels.map(({ tap }) => tap);
    const examples = new Examples(taps, ids);
    const length = pass.imageSize[0] * pass.imageSize[1] * 3;
    for await (const { images, keys, size } of passOver(loader, signal)) {
      const traces = await pass.trace(images, target, ids);
      traces.forEach((one, i) => {
        sums.addTraces(keys[i], one);
        examples.add(keys[i], one, () => images.values.slice(i * length, (i + 1) * length));
      });
      onImages?.(size);
    }
    const { tiles, examples: names } = await examples.draw(pass, options);
    return {
      graph: sums.graph(),
      tiles,
      examples: names,
      broken: loader.broken.map(({ message }) => message),
    };
  } finally {
    await loader.close();
  }
}
