import type { ProgramStore } from '../../engine/compile.js';
import { currentEngine } from '../../engine/current.js';
import { type StartOptions, startEngine } from '../../engine/start.js';
import { loadModel } from '../../models/loadModel.js';
import type { ModelSpec } from '../../models/spec.js';
import type { ExplainPrograms } from '../explainPrograms.js';
import { createPrograms } from '../programs.js';
import type { ReportContext } from '../report/report.js';
import { matchSae } from '../sae.js';
import { type ChosenSaes, openSaes } from './shipped.js';

/** What is known of an opened network without loading it. */
export interface SessionDescription {
  readonly spec: ModelSpec;
  readonly autoencoders: ReportContext['autoencoders'];
  readonly lowerConstants: readonly string[];
  readonly upperConstants: readonly string[];
  /** Folders of the autoencoders among which those were chosen. */
  readonly saeFolders: readonly string[];
}

/** A network and its autoencoders, loaded, with their programs. */
export interface LiveSession {
  readonly description: SessionDescription;
  readonly programs: ExplainPrograms;
  readonly engine: string;
  dispose(): void;
}

export interface LiveOptions {
  readonly modelFolder: string;
  /** Folders of autoencoders; empty: those that lie with the network; null: none. */
  readonly saes: readonly string[] | null;
  /** Where autoencoders were looked for. */
  readonly saeFolders: readonly string[];
  readonly top: number;
  readonly store?: ProgramStore;
  /** Starts this engine first; absent: one is started already. */
  readonly engine?: StartOptions;
}

const NO_SAES: ChosenSaes = { concepts: null, traces: null };

/**
 * Loads a network and its autoencoders and makes their programs. Caller disposes.
 * Throws the errors of `startEngine`, `loadModel`, `openSaes` and `matchSae`.
 */
export async function openLive(options: LiveOptions): Promise<LiveSession> {
  if (options.engine !== undefined) await startEngine(options.engine);
  const model = await loadModel(options.modelFolder);
  try {
    const { concepts, traces } =
      options.saes === null ? NO_SAES : await openSaes(model, options.modelFolder, options.saes);
    for (const one of [concepts, traces]) if (one !== null) matchSae(model, one.sae);
    const { top, store } = options;
    const programs = createPrograms(model, concepts?.sae ?? null, traces?.sae ?? null, {
      top,
      ...(store === undefined ? {} : { store }),
    });
    const autoencoders = [
      { found: concepts, role: 'concepts' as const },
      { found: traces, role: 'traces' as const },
    ].flatMap(({ found, role }) => {
      if (found === null) return [];
      const { tap, latents, k } = found.sae;
      return [{ path: found.path, tap, latents, k, role }];
    });
    return {
      description: {
        spec: model.spec,
        autoencoders,
        lowerConstants: programs.lowerConstants,
        upperConstants: programs.upperConstants,
        saeFolders: options.saeFolders,
      },
      programs,
      engine: currentEngine()?.name ?? 'none',
      dispose: () => {
        programs.dispose();
        concepts?.sae.dispose();
        traces?.sae.dispose();
        model.dispose();
      },
    };
  } catch (error) {
    model.dispose();
    throw error;
  }
}
