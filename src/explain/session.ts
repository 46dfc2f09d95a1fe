import { currentEngine } from '../engine/current.js';
import type { BcosModel } from '../models/bcosModel.js';
import { loadModel } from '../models/loadModel.js';
import { Explainer, type ExplainerOptions } from './explainer.js';
import type { ReportContext } from './report.js';
import { defaultModelFolder, openSaes } from './shipped.js';

/** A network with its autoencoders, loaded and ready to explain. */
export interface ExplainSession {
  readonly model: BcosModel;
  readonly modelFolder: string;
  readonly explainer: Explainer;
  /** What a report says about all this; `version` of this package. */
  context(command: ReportContext['command'], version: string): ReportContext;
  dispose(): void;
}

export interface SessionOptions extends Omit<ExplainerOptions, 'early'> {
  /** Default: the shipped network. */
  readonly model?: string;
  /** Default: those that lie with the network. */
  readonly saes?: readonly string[];
}

/**
 * Loads a network and its autoencoders. The engine must be started. Caller disposes.
 * Throws the errors of `loadModel` and `openSaes`.
 */
export async function openSession(options: SessionOptions): Promise<ExplainSession> {
  const modelFolder = options.model ?? defaultModelFolder();
  const model = await loadModel(modelFolder);
  try {
    const { concepts, traces } = await openSaes(model, modelFolder, options.saes ?? []);
    const explainer = new Explainer(model, concepts?.sae ?? null, { ...options, early: traces?.sae ?? null });
    const { arch, weightsHash } = model.spec;
    const autoencoders = [
      { found: concepts, role: 'concepts' as const },
      { found: traces, role: 'traces' as const },
    ].flatMap(({ found, role }) => {
      if (found === null) return [];
      const { tap, latents, k } = found.sae;
      return [{ path: found.path, tap, latents, k, role }];
    });
    return {
      model,
      modelFolder,
      explainer,
      context: (command, version) => ({
        command,
        packageVersion: version,
        engine: currentEngine()?.name ?? 'none',
        model: { path: modelFolder, arch, weightsHash, classes: model.spec.options.numClasses },
        autoencoders,
        top: explainer.top,
        tolerance: explainer.tolerance,
      }),
      dispose: () => {
        explainer.dispose();
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
