/** Which autoencoders an explanation uses: those that the user names, or those that lie with the network. */
import { FactError } from '../../core/errors.js';
import type { BcosModel } from '../../models/bcosModel.js';
import { loadSae, matchSae, type Sae } from '../sae.js';
import { saeFoldersIn } from './modelFolders.js';

export { defaultModelFolder, shippedFolder } from './modelFolders.js';

/** A loaded autoencoder and its folder. */
export interface FoundSae {
  readonly path: string;
  readonly sae: Sae;
}

/** The autoencoder whose concepts are explained, and an earlier one for traces. */
export interface ChosenSaes {
  readonly concepts: FoundSae | null;
  readonly traces: FoundSae | null;
}

function choose(model: BcosModel, found: readonly FoundSae[]): ChosenSaes {
  const depth = ({ sae }: FoundSae): number => model.stageNames.indexOf(sae.tap);
  const byDepth = [...found].sort((a, b) => depth(b) - depth(a));
  const concepts = byDepth[0] ?? null;
  const traces = byDepth.find((one) => concepts !== null && depth(one) < depth(concepts)) ?? null;
  for (const one of found) if (one !== concepts && one !== traces) one.sae.dispose();
  return { concepts, traces };
}

/**
 * Loads the autoencoders named, or those that lie with the network (in its folder, or in folders below that).
 * Of several, the one at the latest tap gives the concepts and the next earlier one the traces.
 * Throws FactError E_SAE_MISSING, E_SAE_CONFIG, E_SAE_WEIGHTS, E_SAE_MISMATCH, E_USAGE (more than two, or two at one tap).
 */
export async function openSaes(
  model: BcosModel,
  modelFolder: string,
  named: readonly string[],
): Promise<ChosenSaes> {
  const paths = named.length > 0 ? named : saeFoldersIn(modelFolder);
  const found: FoundSae[] = [];
  try {
    for (const path of paths) {
      const sae = await loadSae(path);
      found.push({ path, sae });
      matchSae(model, sae);
    }
    const taps = found.map(({ sae }) => sae.tap);
    if (named.length > 2 || (named.length > 0 && new Set(taps).size < taps.length)) {
      throw new FactError({
        code: 'E_USAGE',
        message: `${named.length} autoencoders are given, at ${taps.join(' and ')}`,
        remedy:
          'Give one, or two at different taps: the later gives the concepts, the earlier what they are made of.',
        exitCode: 2,
      });
    }
    return choose(model, found);
  } catch (error) {
    for (const { sae } of found) sae.dispose();
    throw error;
  }
}
