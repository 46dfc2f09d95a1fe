import { readFactSae } from '../convert/factSae.js';
import { createSae, type Sae } from './sae.js';

/** What a released checkpoint does not say. */
export interface FactSaeOrigin {
  readonly tap: string;
  readonly arch?: string | null;
  readonly modelHash?: string | null;
}

/**
 * Reads an autoencoder in FaCT's released layout (.pt with k, threshold, decoder.weight, encoder.weight, maybe log).
 * Caller disposes. Throws FactError E_SAE_LAYOUT, E_SAE_CONFIG and the checkpoint reader's errors.
 */
export async function saeFromFactCheckpoint(path: string, origin: FactSaeOrigin): Promise<Sae> {
  const { k, channels, latents, encoder, decoder, log } = await readFactSae(path);
  return createSae({
    k,
    channels,
    latents,
    encoder,
    decoder,
    tap: origin.tap,
    modelHash: origin.modelHash ?? null,
    meta: { arch: origin.arch ?? null, training: { log: Object.fromEntries(log) } },
  });
}
