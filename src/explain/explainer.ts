import type { BcosModel } from '../models/bcosModel.js';
import { BaseExplainer } from './baseExplainer.js';
import { type CompiledPrograms, createPrograms } from './programs.js';
import { matchSae, type Sae } from './sae.js';

export interface ExplainerOptions {
  /** Concepts shown one by one, with their pixel maps. Default 8. */
  readonly top?: number;
  /** Bound of the ledgers' relative error. Default 1e-5. */
  readonly tolerance?: number;
  /** false runs the same functions operation by operation; default: what `startEngine` set. */
  readonly compile?: boolean;
  /** Autoencoder at an earlier tap, for traces. */
  readonly early?: Sae | null;
}

/** The programs of a network and its autoencoders. Throws FactError E_SAE_MISMATCH. */
function matchedPrograms(model: BcosModel, sae: Sae | null, options: ExplainerOptions) {
  const early = options.early ?? null;
  for (const one of [sae, early]) if (one !== null) matchSae(model, one);
  return createPrograms(model, sae, early, options);
}

/**
 * Explains images with one network and at most one spliced autoencoder (plus an earlier one for traces). Owns its
 * compiled programs, not the network nor the autoencoders.
 */
export class Explainer extends BaseExplainer {
  readonly early: Sae | null;
  private readonly compiled: CompiledPrograms;

  /** Throws FactError E_SAE_MISMATCH where an autoencoder does not belong to the network. */
  constructor(
    readonly model: BcosModel,
    readonly sae: Sae | null,
    options: ExplainerOptions = {},
  ) {
    const programs = matchedPrograms(model, sae, options);
    super(
      {
        get spec() {
          return model.spec;
        },
        tap: sae?.tap ?? null,
        earlyTap: options.early?.tap ?? null,
      },
      programs,
      options,
    );
    this.compiled = programs;
    this.early = options.early ?? null;
  }

  /** Graphs held now, and graphs compiled since the start. */
  get graphs(): CompiledPrograms['graphs'] {
    return this.compiled.graphs;
  }
}
