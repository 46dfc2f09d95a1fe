/** What a kind of network allows: only B-cos networks explain exactly, feature extractors name no classes. */
import { FactError } from '../core/errors.js';
import { sigmoid } from './explanation.js';
/** Throws FactError E_EXPLAIN_STANDARD for networks that are not B-cos. */
export function requireExplainable(spec) {
    if (spec.kind === 'bcos')
        return;
    throw new FactError({
        code: 'E_EXPLAIN_STANDARD',
        message: `${spec.arch} is not a B-cos network: its answer is no sum of what pixels or concepts contribute`,
        remedy: 'Explain a B-cos network, or make one of a standard network: fact convert --bcosify. fact predict and fact eval take both.',
        exitCode: 2,
    });
}
/** Throws FactError E_NO_CLASSES for networks whose output is features. */
export function requireClasses(spec) {
    if (spec.kind !== 'features')
        return;
    throw new FactError({
        code: 'E_NO_CLASSES',
        message: `${spec.arch} extracts features: it names no classes`,
        remedy: 'Use a network with a classifier; features are read at its taps (fact sae features --tap).',
        exitCode: 2,
    });
}
/**
 * Probability of a class from scores before the bias: its own sigmoid, as B-cos networks are trained, or its part in the
 * softmax, as standard ones are.
 */
export function probabilityOf(spec, scores, index) {
    if (spec.kind === 'bcos')
        return sigmoid(scores[index] + (spec.logitBias ?? 0));
    let largest = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < scores.length; i++)
        largest = Math.max(largest, scores[i]);
    let sum = 0;
    for (let i = 0; i < scores.length; i++)
        sum += Math.exp(scores[i] - largest);
    return Math.exp(scores[index] - largest) / sum;
}
