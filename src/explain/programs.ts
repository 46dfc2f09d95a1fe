/** The functions of programFunctions.ts compiled for the engine that runs, and their results read into arrays. */
import * as tf from '@tensorflow/tfjs';
import { compile, type ProgramStore } from '../engine/compile.js';
import type { BcosModel } from '../models/bcosModel.js';
import { DEFAULT_TOP } from './baseExplainer.js';
import {
  type ExplainPrograms,
  explainArrays,
  type ImageBatch,
  type NamedArrays,
  scoreArrays,
} from './explainPrograms.js';
import { programFunctions } from './programFunctions.js';
import type { Sae } from './sae.js';

export interface ProgramOptions {
  /** Concepts shown one by one. Default 8. */
  readonly top?: number;
  /** false runs the same functions operation by operation. */
  readonly compile?: boolean;
  /** Where compiled graphs are kept for later processes. */
  readonly store?: ProgramStore;
}

/** Reads all tensors of a result and disposes them. */
async function take(result: object): Promise<NamedArrays> {
  const named = Object.entries(result) as [string, tf.Tensor][];
  const arrays = new Map<string, Float32Array | Int32Array | Uint8Array>();
  for (const [name, tensor] of named) arrays.set(name, await tensor.data());
  tf.dispose(named.map(([, tensor]) => tensor));
  return arrays;
}

function imageTensor({ values, count, height, width }: ImageBatch): tf.Tensor4D {
  return tf.tensor4d(values, [count, height, width, 3]);
}

export interface CompiledPrograms extends ExplainPrograms {
  /** Graphs held now, and graphs compiled since the start. */
  readonly graphs: { readonly held: number; readonly compiled: number };
}

/**
 * Programs for a network, the autoencoder that is spliced in (null: none) and an earlier one for traces (null: none).
 * The network and the autoencoders stay the caller's. Caller disposes.
 */
export function createPrograms(
  model: Pick<BcosModel, 'segment' | 'spec'>,
  sae: Sae | null,
  early: Sae | null,
  options: ProgramOptions = {},
): CompiledPrograms {
  const functions = programFunctions(model, sae, early, options.top ?? DEFAULT_TOP);
  const compileOptions = (name: string) => ({
    name,
    bake: true,
    independentRows: true,
    ...(options.compile === undefined ? {} : { enabled: options.compile }),
    ...(options.store === undefined ? {} : { store: options.store }),
  });
  const scores = compile(functions.scores, compileOptions('scores'));
  const explain = compile(functions.explain, compileOptions('explain'));
  const classes = model.spec.options.numClasses;
  return {
    lowerConstants: functions.lowerConstants,
    upperConstants: functions.upperConstants,
    get graphs() {
      return {
        held: scores.programs.held + explain.programs.held,
        compiled: scores.programs.compiled + explain.programs.compiled,
      };
    },
    scores: async (images) => {
      const input = imageTensor(images);
      try {
        return scoreArrays(await take(await scores(input)));
      } finally {
        input.dispose();
      }
    },
    explain: async (images, wanted, versus) => {
      const shape: [number, number] = [images.count, classes];
      const inputs = [imageTensor(images), tf.tensor2d(wanted, shape), tf.tensor2d(versus, shape)] as const;
      try {
        return explainArrays(await take(await explain(...inputs)));
      } finally {
        tf.dispose([...inputs]);
      }
    },
    dispose: () => {
      scores.dispose();
      explain.dispose();
    },
  };
}
