/** A card as lines of text, for the command line. */
import { percent, shortName } from '../../report/words.js';
import type { ConceptCard, Gallery } from './gallerySchema.js';
import { conceptFacts, conceptHeadline } from './galleryWords.js';

/** Headline, facts, neighbours, and for each image the sum over its pixels beside the presence. */
export function cardText(card: ConceptCard, gallery: Gallery): string[] {
  const near = card.neighbours.decoder.map(({ concept, cosine }) => `${concept} (${percent(cosine)})`);
  const alike = card.neighbours.classes.map(({ concept, cosine }) => `${concept} (${percent(cosine)})`);
  const width = Math.max(0, ...card.shown.map(({ key }) => shortName(key).length));
  const number = (value: number | null): string =>
    (value === null ? 'not a number' : value.toFixed(5)).padStart(12);
  return [
    `concept ${card.concept}: ${conceptHeadline(card)}`,
    conceptFacts(card, gallery.summary.images),
    ...(near.length === 0 ? [] : [`nearly the same features: concepts ${near.join(', ')}`]),
    ...(alike.length === 0 ? [] : [`the same answers: concepts ${alike.join(', ')}`]),
    ...card.shown.map(({ key, predicted, ledger }) => {
      const verdict = ledger.holds ? 'holds' : 'DOES NOT HOLD';
      const relative = ledger.relativeError?.toExponential(1) ?? 'not a number';
      return `  ${shortName(key).padEnd(width)}  presence ${number(ledger.left)} = pixels ${number(ledger.sum)}, relative ${relative}: ${verdict}   (${predicted.name})`;
    }),
  ];
}
