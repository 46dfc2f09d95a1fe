/** What an exported file (docs/export.md) says about itself, as an explainer needs it. Runs anywhere. */
import { FactError } from '../../core/errors.js';
import type { ModelSpec } from '../../models/spec.js';
import type { ExplainSubject } from '../baseExplainer.js';

/** Metadata of an exported file: all values are text, most of them JSON. */
export type ExportedMetadata = Readonly<Record<string, string>>;

/** First part of the `format` that these programs read; the version follows. */
const FORMAT_FAMILY = 'fact-explanation/';
/** What this version writes: inputs, outputs and metadata keys. */
export const EXPORT_FORMAT = `${FORMAT_FAMILY}1`;

/** An autoencoder as the metadata lists it. */
export interface NotedAutoencoder {
  readonly role: 'concepts' | 'traces';
  readonly tap: string;
  readonly concepts: number;
}

/** A value of the metadata that is JSON. Throws FactError E_EXPORTED_FILE. */
export function metadataValue<T>(metadata: ExportedMetadata, key: string): T {
  const text = metadata[key];
  try {
    return JSON.parse(text) as T;
  } catch (cause) {
    throw new FactError({
      code: 'E_EXPORTED_FILE',
      message: `the exported file says "${text}" of ${key}, which is not JSON`,
      remedy: 'Export the network again with this version: fact export.',
      cause,
    });
  }
}

/** What the file explains. Throws FactError E_EXPORTED_FILE for files that are no explanations. */
export function exportedSubject(metadata: ExportedMetadata): ExplainSubject {
  if (!metadata.format?.startsWith(FORMAT_FAMILY) || metadata.kind !== 'explain') {
    throw new FactError({
      code: 'E_EXPORTED_FILE',
      message: `the file is no exported explanation (format "${metadata.format ?? ''}", kind "${metadata.kind ?? ''}")`,
      remedy: 'Make one with: fact export --kind explain.',
    });
  }
  const input = metadataValue<{ height: number; width: number }>(metadata, 'input');
  const { resizeShorterSide } = metadataValue<{ resizeShorterSide: number }>(metadata, 'preprocessing');
  const saes = metadataValue<readonly NotedAutoencoder[]>(metadata, 'autoencoders');
  const size: [number, number] = [input.height, input.width];
  const logitBias = metadataValue<number>(metadata, 'logit_bias');
  const spec: ModelSpec = {
    format: 'fact-model',
    version: 1,
    arch: metadata.arch,
    kind: 'bcos',
    options: { numClasses: Number(metadata.class_count), logitBias, temperature: null },
    inputSize: size,
    preprocessing: { resize: resizeShorterSide, crop: size },
    logitBias,
    temperature: null,
    classNames: metadataValue(metadata, 'class_names'),
    taps: [],
    source: metadata.model_source || null,
    weightsHash: metadata.model_sha256 || null,
  };
  const tapOf = (role: NotedAutoencoder['role']): string | null =>
    saes.find((sae) => sae.role === role)?.tap ?? null;
  return { spec, tap: tapOf('concepts'), earlyTap: tapOf('traces') };
}
