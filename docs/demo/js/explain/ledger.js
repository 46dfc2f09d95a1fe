/**
 * Ledger of one sum rule: a left side that the network computed, the terms that should add up to it, and what remains.
 *
 *     sum           = sum over terms                       (float64, whatever the engine computed in)
 *     residual      = left - sum
 *     relativeError = |residual| / sum over |terms|        (0 / 0 = 0: nothing to explain, nothing missing)
 *
 * A ledger is data, never a verdict printed on the way: `holds` says whether the error is within the tolerance.
 */
/** Default bound of a ledger's relative error: what float32 arithmetic reaches with room to spare. */
export const DEFAULT_TOLERANCE = 1e-5;
/** Sum and sum of absolute values in float64. */
export function sumTerms(terms) {
    let sum = 0;
    let absolute = 0;
    for (let i = 0; i < terms.length; i++) {
        sum += terms[i];
        absolute += Math.abs(terms[i]);
    }
    return { sum, absolute };
}
/** Forms a ledger. A term or left side that is not a number gives an infinite error, so the ledger does not hold. */
export function formLedger(input) {
    const tolerance = input.tolerance ?? DEFAULT_TOLERANCE;
    const total = sumTerms(input.terms);
    const lines = [{ name: input.termsName, value: total.sum }, ...(input.constants ?? [])];
    let sum = total.sum;
    let absoluteSum = total.absolute;
    for (const { value } of input.constants ?? []) {
        sum += value;
        absoluteSum += Math.abs(value);
    }
    const residual = input.left - sum;
    const ratio = residual === 0 ? 0 : Math.abs(residual) / absoluteSum;
    const relativeError = Number.isNaN(ratio) ? Number.POSITIVE_INFINITY : ratio;
    return {
        side: input.side,
        subject: input.subject,
        left: input.left,
        lines,
        termCount: input.terms.length + (input.constants?.length ?? 0),
        sum,
        absoluteSum,
        residual,
        relativeError,
        tolerance,
        holds: relativeError <= tolerance,
    };
}
/** The ledger with the largest relative error, or undefined of none. */
export function worstLedger(ledgers) {
    return ledgers.reduce((worst, ledger) => (worst === undefined || ledger.relativeError > worst.relativeError ? ledger : worst), undefined);
}
/** A ledger as lines of text: left side, each named term, sum, residual, relative error. */
export function formatLedger(ledger) {
    const number = (value) => (value < 0 ? '' : ' ') + value.toFixed(7);
    const width = Math.max(ledger.subject.length, 'residual'.length, ...ledger.lines.map((l) => l.name.length + 2));
    const row = (name, value, note = '') => `  ${name.padEnd(width)} ${number(value).padStart(14)}${note}`;
    return [
        row(ledger.subject, ledger.left),
        ...ledger.lines.map((line, i) => row(`${i === 0 ? '= ' : '+ '}${line.name}`, line.value, i === 0 ? `   (${ledger.termCount - ledger.lines.length + 1} terms)` : '')),
        row('residual', ledger.residual, `   relative ${ledger.relativeError.toExponential(1)}, allowed ${ledger.tolerance.toExponential(0)}: ${ledger.holds ? 'holds' : 'DOES NOT HOLD'}`),
    ];
}
