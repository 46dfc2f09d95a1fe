/** The words of reports and pictures, so that every front end says the same. */
import type { Explanation } from '../explanation.js';

/** "+12.3 %" with a true minus sign. */
export function signedPercent(share: number, digits = 1): string {
  const text = `${Math.abs(100 * share).toFixed(digits)} %`;
  if (Number(Math.abs(100 * share).toFixed(digits)) === 0) return text;
  return `${share < 0 ? '−' : '+'}${text}`;
}

/** "87 %", "0.3 %". */
export function percent(probability: number): string {
  const value = 100 * probability;
  return `${value > 0 && value < 1 ? value.toPrecision(1) : value.toFixed(0)} %`;
}

/** A number in two decimals, or two significant digits where it is smaller than a tenth; true minus sign. */
export function amount(value: number): string {
  const size = Math.abs(value);
  const text =
    size === 0 || size >= 0.1 ? size.toFixed(2) : size >= 1e-4 ? size.toPrecision(2) : size.toExponential(1);
  return `${value < 0 ? '−' : ''}${text.replace('e-', 'e−')}`;
}

/** `amount` with its sign always shown. */
export function signed(value: number): string {
  return value < 0 ? amount(value) : `+${amount(value)}`;
}

/** A contribution beside others of this size: what is far smaller than them reads as zero. */
export function contributionText(value: number, largest: number): string {
  return largest < 0.01 || Math.abs(value) >= 0.1
    ? signed(value)
    : `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(3)}`;
}

/** The last two parts of a path: enough to recognise a file. */
export function shortName(path: string): string {
  return path.split(/[\\/]/).slice(-2).join('/');
}

/** What the network answered and whether that is right: the headline. */
export function headline(e: Explanation): string {
  const answer = `${e.predicted.name} (${percent(e.predicted.probability)})`;
  if (e.trueClass === null) return `The network says ${answer}.`;
  if (e.trueClass.index === e.predicted.index) return `The network says ${answer}, which is right.`;
  return `The network says ${answer}; in truth it is ${e.trueClass.name} (${percent(e.trueClass.probability)}).`;
}

/** What the bars below explain. */
export function question(e: Explanation): string {
  const { target } = e;
  if (target.versus !== null) return `Why ${target.for.name} rather than ${target.versus.name}?`;
  return target.for.index === e.predicted.index
    ? `Why ${target.for.name}?`
    : `What speaks for ${target.for.name} (${percent(target.for.probability)})?`;
}

/** Names of the two directions of a bar. */
export function directions(e: Explanation): { readonly for: string; readonly against: string } {
  const { target } = e;
  return target.versus === null
    ? { for: `for ${target.for.name}`, against: `against ${target.for.name}` }
    : { for: `for ${target.for.name}`, against: `for ${target.versus.name}` };
}

/** The one denominator of all percentages of concepts. */
export const SHARE_NOTE =
  'Percentages: share of all evidence, that is contribution / sum of |contribution| over all concepts; signs kept.';

/** The sum rule in one line. */
export function sumLine(e: Explanation): string {
  const { target } = e;
  const sums = `${amount(e.positiveSum)} for, ${amount(Math.abs(e.negativeSum))} against`;
  if (target.versus !== null) return `${sums}: the logits differ by ${signed(target.score)}`;
  return `${sums}, bias ${signed(target.bias)}: logit ${signed(target.score + target.bias)}`;
}

/** Whether the sums hold, in one line. */
export function ledgerLine(e: Explanation): string {
  const failing = e.ledgers.filter((ledger) => !ledger.holds);
  const worst = e.ledgers.reduce((w, ledger) => Math.max(w, ledger.relativeError), 0);
  const size = worst === 0 ? '0' : worst.toExponential(1).replace('-', '−');
  return failing.length === 0
    ? `All ${e.ledgers.length} sums checked: largest residual ${size} of the terms.`
    : `${failing.length} of ${e.ledgers.length} sums DO NOT HOLD: largest residual ${size} of the terms.`;
}

/** How much of the features the concepts keep, and what the network says without the autoencoder where that differs. */
export function fidelityLine(e: Explanation): string {
  if (e.featuresKept === null || e.tap === null) return '';
  const cut =
    (e.fullPositions ?? 0) > 0
      ? ` (at ${e.fullPositions} positions only the strongest concepts have room)`
      : '';
  const kept = `The concepts keep ${percent(Math.max(0, e.featuresKept))} of the features at ${e.tap}${cut}`;
  return e.predictedAlone.index === e.predicted.index
    ? `${kept}.`
    : `${kept}; the network without the autoencoder says ${e.predictedAlone.name} (${percent(e.predictedAlone.probability)}).`;
}
