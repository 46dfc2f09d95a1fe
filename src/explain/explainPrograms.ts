/*
 * What an explainer needs computed, as plain arrays: it does not know whether tfjs computes it or a graph that an
 * earlier process compiled.
 */

/** Pictures of one size: RGB values in [0, 1], [count, height, width, 3]. */
export interface ImageBatch {
  readonly values: Float32Array;
  readonly count: number;
  readonly height: number;
  readonly width: number;
}

/** Scores before the bias: network alone, and with the autoencoder; [count, classes] each. */
export interface ScoreArrays {
  readonly alone: Float32Array;
  readonly spliced: Float32Array;
}

/** Results of `explain`, see `ExplainTensors` in programFunctions.ts; the rows of all images one after the other. */
export interface ExplainArrays extends ScoreArrays {
  readonly gradient: Float32Array;
  readonly map: Float32Array;
  readonly lowerConstants: Float32Array;
  readonly concepts: ConceptArrays | null;
}

export interface ConceptArrays {
  readonly contributions: Float32Array;
  readonly versus: Float32Array;
  readonly presence: Float32Array;
  readonly errors: Float32Array;
  readonly lengths: Float32Array;
  readonly upperConstants: Float32Array;
  readonly shown: Int32Array;
  readonly maps: Float32Array;
  readonly mapConstants: Float32Array;
  readonly traces: Float32Array | null;
  readonly latePresence: Float32Array | null;
  /** Positions of each image whose code is full under a threshold; null where there is none. */
  readonly fullPositions: Float32Array | null;
}

export interface ExplainPrograms {
  /** Names of the network's constants below and above the tap (all below without an autoencoder). */
  readonly lowerConstants: readonly string[];
  readonly upperConstants: readonly string[];
  scores(images: ImageBatch): Promise<ScoreArrays>;
  /** `wanted`, `versus`: [count, classes], one-hot rows, zero rows where nothing is asked. */
  explain(images: ImageBatch, wanted: Float32Array, versus: Float32Array): Promise<ExplainArrays>;
  dispose(): void;
}

/** Arrays by name. */
export type NamedArrays = ReadonlyMap<string, Float32Array | Int32Array | Uint8Array>;

function floats(named: NamedArrays, name: string): Float32Array {
  const found = named.get(name);
  if (found instanceof Float32Array) return found;
  throw new Error(`a program gave no numbers named ${name}`);
}

/** Named results of the function `scores`. */
export function scoreArrays(named: NamedArrays): ScoreArrays {
  return { alone: floats(named, 'alone'), spliced: floats(named, 'spliced') };
}

/** Named results of the function `explain`. */
export function explainArrays(named: NamedArrays): ExplainArrays {
  const f = (name: string): Float32Array => floats(named, name);
  const shown = named.get('shown');
  const optional = (name: string): Float32Array | null => (named.has(name) ? f(name) : null);
  return {
    ...scoreArrays(named),
    gradient: f('gradient'),
    map: f('map'),
    lowerConstants: f('lowerConstants'),
    concepts:
      shown instanceof Int32Array
        ? {
            contributions: f('contributions'),
            versus: f('versus'),
            presence: f('presence'),
            errors: f('errors'),
            lengths: f('lengths'),
            upperConstants: f('upperConstants'),
            shown,
            maps: f('maps'),
            mapConstants: f('mapConstants'),
            traces: optional('traces'),
            latePresence: optional('latePresence'),
            fullPositions: optional('fullPositions'),
          }
        : null,
  };
}
