/*
 * A concept graph as plain data: which concepts a class is made of, which earlier concepts those are made of, and, for one
 * image, where in the picture those lie; of one image, or the mean over images (sums hold for means too).
 *
 *     edge.contribution   in logits: what the concept at `from` adds to the target through the concept at `to`; the edges
 *                         into a concept add up to its own contribution, so all columns have the same sum: the score
 *     edge.presence       what it adds to the presence (sum of activations) of the concept at `to`
 *     edge.share          |contribution| / sum of |terms| of `to`, all terms counted: the edges into a node add up to 1
 *     node.share          sum over its outgoing edges of share(edge) share(to): a column, with the constants of the columns
 *                         above it, adds up to 1
 *
 * What is not shown is one node a column, "other concepts"; its edges keep their positive and negative parts apart.
 */
import type { GraphHop } from './graphHops.js';

export interface GraphNode {
  /** Unique within the graph: "class", "layer3/12", "layer3/others", "constant/1/norm", "region/4". */
  readonly id: string;
  readonly kind: 'class' | 'concept' | 'others' | 'constant' | 'region';
  /** 0 pixels, 1 the earliest tap ..., the class last. A constant stands in the column of the concepts it is added to. */
  readonly column: number;
  /** Tap of a concept or of "others"; null elsewhere. */
  readonly tap: string | null;
  /** Number of a concept; number of concepts that "others" stands for; number of a region; null elsewhere. */
  readonly number: number | null;
  /** In words. */
  readonly name: string;
  /** To the target, in logits. */
  readonly contribution: number;
  readonly share: number;
  /** Sum of activations; null where it has none. */
  readonly presence: number | null;
}

export interface GraphEdge {
  readonly from: string;
  readonly to: string;
  readonly contribution: number;
  /** Sums of its positive and of its negative terms; one of them is 0 but for "others". */
  readonly positive: number;
  readonly negative: number;
  readonly share: number;
  /** Null into the class, into "others" and from regions. */
  readonly presence: number | null;
}

export interface ConceptGraph {
  /** The class whose logit is explained. */
  readonly target: { readonly index: number; readonly name: string };
  /** Images that it is the mean of. */
  readonly images: number;
  /** Mean score before the bias: what every column adds up to. */
  readonly score: number;
  /** Logit bias, the same for all images; logit = score + bias. */
  readonly bias: number;
  /** Taps, earliest first. */
  readonly taps: readonly string[];
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly GraphEdge[];
  /** The sums, hop by hop, from the class down. */
  readonly hops: readonly GraphHop[];
}

/** Regions a side: nine of them, which have names. */
export const REGION_SIDE = 3;
const ROWS = ['top', 'middle', 'bottom'];
const COLUMNS = ['left', 'centre', 'right'];

/** "top left", "centre", ... */
export function regionName(region: number): string {
  const [row, column] = [ROWS[Math.floor(region / REGION_SIDE)], COLUMNS[region % REGION_SIDE]];
  if (row === 'middle') return column === 'centre' ? 'centre' : column;
  return column === 'centre' ? row : `${row} ${column}`;
}

/** Sums of a map [height, width] over its regions, in float64. */
export function regionSums(map: Float32Array, height: number, width: number): Float64Array {
  const sums = new Float64Array(REGION_SIDE ** 2);
  for (let y = 0; y < height; y++) {
    const row = Math.floor((y * REGION_SIDE) / height) * REGION_SIDE;
    for (let x = 0; x < width; x++) sums[row + Math.floor((x * REGION_SIDE) / width)] += map[y * width + x];
  }
  return sums;
}

/** Pixel box of a region in a picture of this size. */
export function regionBox(region: number, height: number, width: number) {
  const edge = (i: number, size: number): number => Math.ceil((i * size) / REGION_SIDE);
  const [row, column] = [Math.floor(region / REGION_SIDE), region % REGION_SIDE];
  return {
    left: edge(column, width),
    top: edge(row, height),
    right: edge(column + 1, width),
    bottom: edge(row + 1, height),
  };
}
