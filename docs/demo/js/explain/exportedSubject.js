/** What an exported file (docs/export.md) says about itself, as an explainer needs it. Runs anywhere. */
import { FactError } from '../core/errors.js';
/** First part of the `format` that these programs read. */
const FORMAT = 'fact-explanation/';
/** A value of the metadata that is JSON. Throws FactError E_EXPORTED_FILE. */
export function metadataValue(metadata, key) {
    const text = metadata[key];
    try {
        return JSON.parse(text);
    }
    catch (cause) {
        throw new FactError({
            code: 'E_EXPORTED_FILE',
            message: `the exported file says "${text}" of ${key}, which is not JSON`,
            remedy: 'Export the network again with this version: fact export.',
            cause,
        });
    }
}
/** What the file explains. Throws FactError E_EXPORTED_FILE for files that are no explanations. */
export function exportedSubject(metadata) {
    if (!metadata.format?.startsWith(FORMAT) || metadata.kind !== 'explain') {
        throw new FactError({
            code: 'E_EXPORTED_FILE',
            message: `the file is no exported explanation (format "${metadata.format ?? ''}", kind "${metadata.kind ?? ''}")`,
            remedy: 'Make one with: fact export --kind explain.',
        });
    }
    const input = metadataValue(metadata, 'input');
    const { resizeShorterSide } = metadataValue(metadata, 'preprocessing');
    const saes = metadataValue(metadata, 'autoencoders');
    const size = [input.height, input.width];
    const logitBias = metadataValue(metadata, 'logit_bias');
    const spec = {
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
    const tapOf = (role) => saes.find((sae) => sae.role === role)?.tap ?? null;
    return { spec, tap: tapOf('concepts'), earlyTap: tapOf('traces') };
}
