/** The page of classes: what each stands on, and which concepts several of them share. Needs no script. */
import { escapeHtml } from '../../report/page.js';
import { amount, percent, signed, signedPercent } from '../../report/words.js';
import { type ConceptPictures, thumbnail } from '../gallery/cardPage.js';
import { countOf } from '../gallery/galleryWords.js';
import { galleryDocument } from '../pageStyle.js';
import type { ClassEntry, ClassesReport, SharedConcept } from './classesReport.js';

/** Shared concepts that are listed. */
const SHARED_LISTED = 60;

/** Pictures of concepts and where they lie beside the page; null: a page of its own, without pictures. */
export interface PageCards {
  readonly pictures: ConceptPictures;
  readonly base: string;
}

function picture(concept: number, from: PageCards | null): string {
  return from === null ? '' : thumbnail(from.pictures, concept, from.base);
}

function classSection(entry: ClassEntry, cards: PageCards | null): string {
  const { name, index } = entry.class;
  const items = entry.concepts.map(({ concept, meanContribution, share, sharedWith }) => {
    const others =
      sharedWith.length === 0 ? '' : `<br>also ${escapeHtml(sharedWith.map((one) => one.name).join(', '))}`;
    return `<li>${picture(concept, cards)}<b class="${share < 0 ? 'against' : ''}">${signedPercent(share)}</b><br>concept ${concept}<br>${signed(meanContribution)} on average${others}</li>`;
  });
  const right = entry.correct === null ? '' : `, ${entry.correct} of them right`;
  const constants = entry.meanOfConstants === 0 ? '' : `, constants ${signed(entry.meanOfConstants)}`;
  const verdict = entry.holds ? 'holds' : 'DOES NOT HOLD';
  return `<section class="class" id="class-${index}"><h3>${escapeHtml(name)}</h3>
<p class="note">${countOf(entry.images, 'answer')}${right}. Mean score ${amount(entry.meanScore)} before the bias: the concepts below, ${countOf(entry.others.count, 'other')} with ${signed(entry.others.meanContribution)} together${constants}; residual <span class="${entry.holds ? '' : 'bad'}">${entry.residual.toExponential(1).replace(/-/g, '−')} (${verdict})</span>.</p>
<ul class="strip">${items.join('')}</ul></section>`;
}

function sharedRow({ concept, classes, effectiveClasses }: SharedConcept, cards: PageCards | null): string {
  const names = classes.map(
    (one) =>
      `<a href="#class-${one.class.index}">${escapeHtml(one.class.name)}</a> ${percent(one.share).replace(' ', '\u00a0')}`,
  );
  return `<li>${picture(concept, cards)}<b>concept ${concept}</b>, spread over about ${effectiveClasses.toFixed(1)} classes<br>${names.join('<br>')}</li>`;
}

/** The page of classes. */
export function classesPage(report: ClassesReport, cards: PageCards | null): string {
  const shared = report.concepts
    .filter(({ classes }) => classes.length > 1)
    .slice(0, SHARED_LISTED)
    .map((one) => sharedRow(one, cards));
  const up = cards === null ? '' : `<nav><a href="${cards.base}index.html">All concepts</a></nav>`;
  const body = `${up}<h1>Classes and what they stand on</h1>
<p class="note">Means over the images that the network answered with a class, of ${countOf(report.images, 'image')} in all. Percentages: part of all evidence of the class (sum of the absolute means), signs kept.</p>
${report.classes.map((entry) => classSection(entry, cards)).join('\n')}
${shared.length === 0 ? '' : `<h2>Concepts that several classes share</h2><p class="note">Those with at least a tenth of their positive contribution in each of two or more classes, the ones with most evidence first.</p><ul class="strip">${shared.join('\n')}</ul>`}`;
  return galleryDocument('Classes and concepts', body);
}
