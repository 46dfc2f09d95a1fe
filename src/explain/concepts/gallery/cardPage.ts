/** The card of one concept as a page that needs no script. */
import { escapeHtml } from '../../report/page.js';
import { amount, percent, shortName, signed } from '../../report/words.js';
import { barItem, galleryDocument } from '../pageStyle.js';
import type { Ranking } from '../totals/totals.js';
import type { CardImage, ClassShare, ConceptCard, Gallery, Neighbour } from './gallerySchema.js';
import { conceptFacts, conceptHeadline, counted, mainClasses, verdict } from './galleryWords.js';

/** File of a concept's card, below the gallery's folder. */
export function cardFile(concept: number): string {
  return `cards/${String(concept).padStart(5, '0')}.html`;
}

const ROWS: readonly { readonly ranking: Ranking; readonly title: string; readonly note: string }[] = [
  {
    ranking: 'contribution',
    title: 'Where it decided most',
    note: 'Images in which it added most to the score of the answer. Below each: the answer, and what the concept added (its part of all that spoke for it).',
  },
  {
    ranking: 'presence',
    title: 'Where there is most of it',
    note: 'Images with the largest presence: the sum of its activations over all positions.',
  },
  {
    ranking: 'peak',
    title: 'Where it is strongest at one place',
    note: 'Images with the largest single activation.',
  },
];

function caption(image: CardImage, ranking: Ranking): string {
  const said = verdict(image);
  const answer = `<b>${escapeHtml(image.predicted.name)}</b>${said === '' || said === 'right' ? '' : ` (${escapeHtml(said)})`}`;
  const numbers = {
    contribution: `${signed(image.contribution)} (${percent(image.share)})`,
    presence: `presence ${amount(image.presence)}`,
    peak: `activation ${amount(image.peak)}`,
  }[ranking];
  return `${answer}<br>${escapeHtml(numbers)}`;
}

function tile(concept: number, image: CardImage, ranking: Ranking): string {
  const { box } = image;
  const at = (v: number): string => `${(100 * v).toFixed(1)}%`;
  const alt = (what: string): string => escapeHtml(`${what} in ${shortName(image.key)}`);
  const img = (file: string, what: string): string =>
    `<img loading="lazy" width="216" height="216" src="../${file}" alt="${alt(what)}">`;
  return `<figure title="${escapeHtml(image.key)}"><div class="cut">${img(image.cutOut, `concept ${concept}`)}</div><div class="whole frame">${img(image.photo, 'the whole picture')}<i style="left:${at(box.left)};top:${at(box.top)};width:${at(box.width)};height:${at(box.height)}"></i></div><div class="colours">${img(image.colours, `colours of concept ${concept}`)}</div><figcaption>${caption(image, ranking)}</figcaption></figure>`;
}

function rows(card: ConceptCard): string {
  const bySample = new Map(card.shown.map((image) => [image.sample, image]));
  return ROWS.map(({ ranking, title, note }) => {
    const images = card.tops[ranking].flatMap((sample) => bySample.get(sample) ?? []);
    if (images.length === 0) return '';
    const tiles = images.map((image) => tile(card.concept, image, ranking)).join('\n');
    return `<h2>${title}</h2><p class="note">${note}</p><div class="tiles">${tiles}</div>`;
  }).join('\n');
}

function classBars(title: string, classes: readonly ClassShare[], others: number): string {
  if (classes.length === 0) return '';
  const items = classes.map((one) =>
    barItem(
      `<a href="../classes.html#class-${one.class.index}">${escapeHtml(one.class.name)}</a>`,
      one.share,
      classes[0].share,
      percent(one.share),
    ),
  );
  const rest = others > 0 ? `<p class="note">and ${counted(others)} more classes</p>` : '';
  return `<section><h3>${title}</h3><ul class="bars">${items.join('')}</ul>${rest}</section>`;
}

/** Pictures of concepts for links to them: cards, and small pictures of some that have none. */
export interface ConceptPictures {
  readonly cards: ReadonlyMap<number, ConceptCard>;
  readonly thumbnails: ReadonlyMap<number, string>;
}

/** The pictures that a gallery has. */
export function picturesOf({ concepts, thumbnails }: Gallery): ConceptPictures {
  return {
    cards: new Map(concepts.map((card) => [card.concept, card])),
    thumbnails: new Map(thumbnails.map(({ concept, cutOut }) => [concept, cutOut])),
  };
}

/** A concept's picture, a link to its card where it has one; a grey field where there is none. */
export function thumbnail({ cards, thumbnails }: ConceptPictures, concept: number, base: string): string {
  const card = cards.get(concept);
  const file = card?.shown[0]?.cutOut ?? thumbnails.get(concept);
  if (file === undefined) return `<span class="none">concept ${concept}</span>`;
  const alt = escapeHtml(`concept ${concept}`);
  const img = `<img loading="lazy" width="128" height="128" src="${base}${file}" alt="${alt}">`;
  return card === undefined ? img : `<a href="${base}${cardFile(concept)}">${img}</a>`;
}

function near(title: string, note: string, list: readonly Neighbour[], pictures: ConceptPictures): string {
  if (list.length === 0) return '';
  const items = list.map(({ concept, cosine }) => {
    const card = pictures.cards.get(concept);
    const classes = card === undefined ? '' : `<br>${escapeHtml(mainClasses(card.classes.predicted))}`;
    return `<li>${thumbnail(pictures, concept, '../')}${concept} <b>${percent(cosine)}</b>${classes}</li>`;
  });
  return `<section><h3>${title}</h3><p class="note">${note}</p><ul class="near">${items.join('')}</ul></section>`;
}

function proof(card: ConceptCard): string {
  const lines = card.shown.map(({ key, ledger }) => {
    const number = (v: number | null): string =>
      v === null ? 'not a number' : v.toFixed(5).replace('-', '−');
    const relative = ledger.relativeError?.toExponential(1).replace('-', '−') ?? 'not a number';
    return `<tr><td>${escapeHtml(shortName(key))}</td><td>${number(ledger.left)}</td><td>${number(ledger.sum)}</td><td>${number(ledger.residual)}</td><td class="${ledger.holds ? '' : 'bad'}">${relative}</td></tr>`;
  });
  const failed = card.shown.filter(({ ledger }) => !ledger.holds).length;
  const verdictText =
    failed === 0 ? `all ${card.shown.length} hold` : `${failed} of ${card.shown.length} DO NOT HOLD`;
  return `<details><summary>Proof that the pixels add up to the presence: <span class="${failed === 0 ? '' : 'bad'}">${verdictText}</span></summary><table><thead><tr><th>image</th><th>presence</th><th>sum over the pixels</th><th>residual</th><th>relative</th></tr></thead><tbody>${lines.join('')}</tbody></table></details>`;
}

/** The page of one card. */
export function cardPage(card: ConceptCard, gallery: Gallery, pictures: ConceptPictures): string {
  const { predicted, labelled, others } = card.classes;
  const body = `<nav><a href="../index.html">All concepts</a> · <a href="../classes.html">Classes</a></nav>
<h1>Concept ${card.concept}</h1><p><b>${escapeHtml(conceptHeadline(card))}</b></p><p class="note">${escapeHtml(conceptFacts(card, gallery.summary.images))}</p>
<input type="radio" name="as" id="as-cut" checked><input type="radio" name="as" id="as-whole"><input type="radio" name="as" id="as-colours">
<p class="choice">Show <label for="as-cut">what it is, cut out</label><label for="as-whole">the whole picture</label><label for="as-colours">the colours it looks for</label></p>
<section>${rows(card)}</section>
<div class="sides">${classBars('Answers it speaks for', predicted, others.predicted)}${classBars('True classes of those images', labelled, others.labelled)}</div>
<p class="note">Bars: part of the concept's positive contribution over the whole data set.</p>
<div class="sides">${near('Concepts that stand for nearly the same features', 'By the direction in which each changes the features; 100 %: the same.', card.neighbours.decoder, pictures)}${near('Concepts that speak for the same answers', 'By how their contribution is spread over the classes; 100 %: the same.', card.neighbours.classes, pictures)}</div>
${proof(card)}`;
  return galleryDocument(`Concept ${card.concept}`, body);
}
