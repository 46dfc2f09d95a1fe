/** The words of galleries and cards, the same on pages and on the command line. */
import { percent } from '../../report/words.js';
import type { CardImage, ClassShare, ConceptCard, Gallery } from './gallerySchema.js';

/** A class is named in a concept's headline if it has at least this part of its positive contribution. */
const NAMED_SHARE = 0.1;
const MOST_NAMED = 3;
/** Below this part for its first class a concept belongs to no class in particular. */
const SPREAD_SHARE = 0.15;

/** "2,500" */
export function counted(value: number): string {
  return value.toLocaleString('en-GB');
}

/** "1 image", "2,500 images" */
export function countOf(value: number, one: string): string {
  return `${counted(value)} ${one}${value === 1 ? '' : 's'}`;
}

/** "34 %", "2.5 %": a part whose small values are worth two digits. */
export function part(share: number): string {
  const value = 100 * share;
  return `${value >= 10 || value === 0 ? value.toFixed(0) : value.toPrecision(2)} %`;
}

/** "goldfish, rock beauty": the classes that a concept stands for; empty where it gave none anything. */
export function mainClasses(classes: readonly ClassShare[]): string {
  return classes
    .filter(({ share }, i) => i === 0 || share >= NAMED_SHARE)
    .slice(0, MOST_NAMED)
    .map((one) => one.class.name)
    .join(', ');
}

/** The words below a concept's picture: its main classes, or that it has none in particular. */
export function shortTitle({ classes }: ConceptCard): string {
  const [first] = classes.predicted;
  if (first === undefined || first.share >= SPREAD_SHARE) return mainClasses(classes.predicted);
  return `many classes, most ${first.class.name}`;
}

/** What a concept speaks for, as a sentence. */
export function conceptHeadline(card: ConceptCard): string {
  const [first] = card.classes.predicted;
  if (card.images === 0) return 'Not active in any image.';
  if (first === undefined) return 'Active, but it speaks for no answer.';
  const classes = card.classes.predicted
    .filter(({ share }, i) => i === 0 || share >= NAMED_SHARE)
    .slice(0, MOST_NAMED)
    .map((one) => `${one.class.name} (${percent(one.share)})`);
  const last = classes.pop();
  const list = classes.length === 0 ? last : `${classes.join(', ')} and ${last}`;
  return first.share < SPREAD_SHARE ? `Spread over many classes, most for ${list}.` : `Speaks for ${list}.`;
}

/** How often and how large a concept is. */
export function conceptFacts(card: ConceptCard, images: number): string {
  if (card.images === 0) return `Active in none of ${countOf(images, 'image')}.`;
  const size =
    card.meanPixels80 === null
      ? ''
      : ` In the images shown, ${percent(card.meanPixels80)} of the pixels carry 80 % of it.`;
  return `Active in ${percent(card.activeShare)} of the images (${counted(card.images)} of ${counted(images)}), there at ${percent(card.meanPositionShare)} of the positions with a presence of ${card.meanPresence.toFixed(1)} on average. It gives ${part(card.positiveShare)} of all evidence for the answers.${size}`;
}

/** Whether the answer was right, in a word or two; empty where the class is not known. */
export function verdict({ label, predicted }: CardImage): string {
  if (label === null) return '';
  return label.index === predicted.index ? 'right' : `in truth ${label.name}`;
}

/** Whether all sums hold. */
export function galleryLedgerLine({ summary, settings }: Gallery): string {
  const worst =
    summary.worstRelativeError === null
      ? 'not a number'
      : summary.worstRelativeError.toExponential(1).replace('-', '−');
  return summary.failed === 0
    ? `All ${counted(summary.ledgers)} sums checked: largest residual ${worst} of the terms, allowed ${settings.tolerance.toExponential(0).replace('-', '−')}.`
    : `${counted(summary.failed)} of ${counted(summary.ledgers)} sums DO NOT HOLD: largest residual ${worst} of the terms.`;
}

/** What the gallery is of. */
export function galleryLine({ model, autoencoder, data, summary, classes }: Gallery): string {
  const split = data.split === null ? '' : `, split ${data.split}`;
  const skipped = summary.skipped > 0 ? `; ${countOf(summary.skipped, 'picture')} could not be read` : '';
  const empty =
    summary.withoutConcept > 0 ? `; ${countOf(summary.withoutConcept, 'image')} without any concept` : '';
  const labelled = classes.reduce((sum, one) => sum + (one.grouping === 'labelled' ? one.images : 0), 0);
  const known = labelled < summary.images ? ` of the ${countOf(labelled, 'image')} whose class it knows` : '';
  const right =
    summary.correct === null || labelled === 0
      ? ''
      : `; with the autoencoder the network is right in ${percent(summary.correct / labelled)}${known}`;
  return `${model.arch}, ${counted(autoencoder.latents)} concepts at ${autoencoder.tap} (${counted(summary.activeConcepts)} active), ${countOf(summary.images, 'image')}${split}${right}${skipped}${empty}.`;
}
