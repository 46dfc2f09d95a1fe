import { FactError } from '../../../core/errors.js';
import { toUnitRange } from '../../../data/evalTransform.js';
import { className } from '../../../models/classes.js';
import type { ModelSpec } from '../../../models/spec.js';
import type { ExplainImage } from '../../explanation.js';
import type { ConceptGraph } from './graph.js';
import type { GraphImages, GraphPass } from './graphPass.js';
import { GraphSums } from './graphSums.js';

export interface GraphOptions {
  readonly spec: ModelSpec;
  /** Concepts shown one by one at each level. */
  readonly top: number;
  readonly tolerance: number;
}

/** A graph of one image, and where its concepts lie. */
export interface ImageGraph {
  readonly graph: ConceptGraph;
  /** Scores before the bias of the network with all autoencoders, and without any. */
  readonly scores: Float32Array;
  readonly alone: Float32Array;
  /** Maps of the presence of the concepts of the graph, by node: [height * width]. */
  readonly maps: ReadonlyMap<string, Float32Array>;
}

/** An image as a pass takes it. */
export function graphImages({ pixels }: Pick<ExplainImage, 'pixels'>): GraphImages {
  const values = new Float32Array(pixels.length);
  toUnitRange(pixels, values, 0);
  return { values, count: 1 };
}

/** Throws FactError E_NOT_FINITE where a score is no number. */
export function checkScores(spec: ModelSpec, image: string, scores: Float32Array): void {
  const bad = scores.findIndex((v) => !Number.isFinite(v));
  if (bad < 0) return;
  throw new FactError({
    code: 'E_NOT_FINITE',
    message: `${image}: the network's score of ${className(spec, bad)} is ${scores[bad]}`,
    remedy: 'The weights of the network or of an autoencoder are damaged, or its training diverged.',
  });
}

/**
 * The graph of one image for a class (null: the one with the highest score), with regions and maps.
 * Throws FactError E_NOT_FINITE.
 */
export async function graphOfImage(
  pass: GraphPass,
  image: ExplainImage,
  target: number | null,
  options: GraphOptions,
): Promise<ImageGraph> {
  const images = graphImages(image);
  const [weights] = await pass.weigh(images, target);
  checkScores(options.spec, image.name, weights.scores);
  const sums = new GraphSums(pass, { ...options, target: weights.target, hasRegions: true });
  sums.addWeights(image.name, weights);
  const ids = sums.choose();
  const [traces] = await pass.trace(images, weights.target, ids);
  sums.addTraces(image.name, traces);
  const [levels] = await pass.map(images, ids);
  const length = image.height * image.width;
  const maps = new Map(
    ids.flatMap((row, l) =>
      row.map((id, j): [string, Float32Array] => [
        `${pass.levels[l].tap}/${id}`,
        levels[l].slice(j * length, (j + 1) * length),
      ]),
    ),
  );
  return { graph: sums.graph(), scores: weights.scores, alone: weights.alone, maps };
}
