/** The report as one HTML page: no network, no script needed, pictures inside, readable by screen readers. */
import type { Preprocessing } from '../../models/spec.js';
import type { ConceptShare, Explanation } from '../explanation.js';
import { formatLedger } from '../ledger.js';
import {
  contributionPicture,
  gradientPicture,
  lit,
  networkInput,
  type Picture,
  photograph,
  spotlight,
} from '../picture/canvas.js';
import { AGAINST_COLOUR, FOR_COLOUR } from '../picture/colours.js';
import type { ReportContext, SkippedImage } from './report.js';
import {
  contributionText,
  directions,
  fidelityLine,
  headline,
  ledgerLine,
  percent,
  question,
  SHARE_NOTE,
  shortName,
  signed,
  signedPercent,
  sumLine,
} from './words.js';

const PHOTO = 300;
const TILE = 150;
/** A part of the balance narrower than these has only its number inside, or nothing. */
const NARROW = 0.2;
const TINY = 0.07;

/** Style sheet of an article and of the page around it. */
export const STYLE = `
:root{color-scheme:light;--for:${FOR_COLOUR};--against:${AGAINST_COLOUR}}
*{box-sizing:border-box}
body{font:16px/1.45 system-ui,sans-serif;margin:0 auto;max-width:1240px;padding:1.5rem;color:#1a1a1a;background:#fff}
h1{font-size:1.3rem;margin:0 0 .3rem}h2{font-size:1.5rem;margin:0}h3{font-size:1.05rem;font-weight:600;margin:.9rem 0 .5rem}
article{border-top:2px solid #1a1a1a;padding:1.2rem 0 2rem}
.file,.note,figcaption{color:#5a5a5a;font-size:.86rem;margin:.15rem 0}
.columns{display:grid;grid-template-columns:${PHOTO}px 1fr;gap:2rem;margin-top:.8rem}
figure{margin:0 0 .8rem}img{display:block;max-width:100%;height:auto}
.balance{display:flex;height:1.7rem;color:#fff;font-weight:600;font-size:.9rem;line-height:1.7rem;white-space:nowrap}
.balance span{overflow:hidden;min-width:0;text-indent:.5rem}.balance .for{background:var(--for)}.balance .against{background:var(--against);text-align:right;direction:ltr}
ol.concepts{list-style:none;margin:0;padding:0;display:grid;grid-template-columns:repeat(auto-fill,minmax(340px,1fr));gap:1rem}
.concepts li{display:grid;grid-template-columns:${TILE}px 1fr;gap:.8rem;align-items:start}
.share{font-size:1.6rem;font-weight:700}.share.for{color:var(--for)}.share.against{color:var(--against)}
.bar{position:relative;height:16px;background:#f1f1f1;margin:.3rem 0 .5rem}
.bar i{position:absolute;top:0;height:100%}.bar i.for{background:var(--for);left:50%}.bar i.against{background:var(--against);right:50%}
.bar::after{content:"";position:absolute;left:50%;top:-3px;width:1px;height:22px;background:#5a5a5a}
pre{overflow:auto;background:#f6f6f6;padding:.8rem;font-size:.8rem}
summary{cursor:pointer}table{border-collapse:collapse;font-size:.9rem}td,th{padding:.15rem .8rem .15rem 0;text-align:left}
.bad{color:#b2182b;font-weight:700}
@media(max-width:760px){.columns{grid-template-columns:1fr}}`;

/** Text as HTML. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

/** Makes the `src` of an HTML image: `pngUrl` in Node, a canvas in a browser. */
export type PictureUrl = (picture: Picture) => Promise<string>;

/** An image element. */
async function imageTag(picture: Picture, alt: string, urlOf: PictureUrl): Promise<string> {
  return `<img width="${picture.width}" height="${picture.height}" alt="${escapeHtml(alt)}" src="${await urlOf(picture)}">`;
}

function direction(share: number): 'for' | 'against' {
  return share < 0 ? 'against' : 'for';
}

async function conceptItem(
  e: Explanation,
  c: ConceptShare,
  photo: Picture,
  full: number,
  urlOf: PictureUrl,
): Promise<string> {
  const side = direction(c.share);
  const largest = Math.max(...e.concepts.map((other) => Math.abs(other.contribution)));
  const names = directions(e);
  const tile =
    c.map === null
      ? ''
      : await imageTag(
          lit(photo, spotlight(c.map, photo.width, photo.height)),
          `where concept ${c.concept} is in the photograph`,
          urlOf,
        );
  const length = full > 0 ? (50 * Math.abs(c.share)) / full : 0;
  const details =
    c.contributionFor !== null && c.contributionVersus !== null && e.target.versus !== null
      ? `${escapeHtml(e.target.for.name)} ${contributionText(c.contributionFor, largest)}, ${escapeHtml(e.target.versus.name)} ${contributionText(c.contributionVersus, largest)}`
      : `${contributionText(c.contribution, largest)} to the logit`;
  const traces = c.madeOf.map((t) => `${t.concept} (${signedPercent(t.share, 0)})`).join(', ');
  return `<li>${tile}<div><span class="share ${side}">${signedPercent(c.share)}</span>
<div class="bar" role="img" aria-label="${escapeHtml(`${signedPercent(c.share)} ${names[side]}`)}"><i class="${side}" style="width:${length.toFixed(2)}%"></i></div>
<div>concept ${c.concept}</div><div class="note">${details}</div>${traces === '' ? '' : `<div class="note">from earlier concepts ${traces}</div>`}</div></li>`;
}

function balance(e: Explanation): string {
  const absolute = e.positiveSum - e.negativeSum;
  if (absolute === 0) return '';
  const names = directions(e);
  const part = (share: number, side: 'for' | 'against'): string =>
    share <= 0
      ? ''
      : `<span class="${side}" style="flex:${share.toFixed(6)} 0 0" title="${escapeHtml(`${percent(share)} ${names[side]}`)}">${escapeHtml(share < NARROW ? (share < TINY ? '' : percent(share)) : `${percent(share)} ${names[side]}`)}</span>`;
  return `<div class="balance">${part(e.positiveSum / absolute, 'for')}${part(-e.negativeSum / absolute, 'against')}</div>`;
}

/** One image as an article. */
export async function explanationArticle(
  e: Explanation,
  preprocessing: Preprocessing,
  urlOf: PictureUrl,
): Promise<string> {
  const image = (picture: Picture, alt: string): Promise<string> => imageTag(picture, alt, urlOf);
  const photo = photograph(e.image, preprocessing, PHOTO);
  const tile = photograph(e.image, preprocessing, TILE);
  const full = Math.max(0, ...e.concepts.map((c) => Math.abs(c.share)));
  const names = directions(e);
  const items: string[] = [];
  for (const c of e.concepts) items.push(await conceptItem(e, c, tile, full, urlOf));
  const ranking = e.ranking
    .map(
      (c) =>
        `<tr><td>${escapeHtml(c.name)}</td><td>${percent(c.probability)}</td><td>${signed(c.logit)}</td></tr>`,
    )
    .join('');
  const isHolding = e.ledgers.every((ledger) => ledger.holds);
  return `<article><h2>${escapeHtml(headline(e))}</h2><p class="file" title="${escapeHtml(e.image.name)}">${escapeHtml(shortName(e.image.name))}</p>
<div class="columns"><div>
<figure>${await image(photo, `photograph ${shortName(e.image.name)}`)}</figure>
<figure>${await image(gradientPicture(e.image, e.gradient, PHOTO), `what in it speaks ${names.for}`)}<figcaption>What in it speaks ${escapeHtml(names.for)}, in the colours that the network looks for</figcaption></figure>
<figure>${await image(contributionPicture(e.map, PHOTO), `pixels ${names.for} and ${names.against}`)}<figcaption>Pixels: red ${escapeHtml(names.for)}, blue ${escapeHtml(names.against)}</figcaption></figure>
<details><summary>What the network sees</summary>${await image(networkInput(e.image, PHOTO), 'input of the network')}<p class="note">${e.image.width} × ${e.image.height} pixels</p></details>
</div><div><h3>${escapeHtml(question(e))}</h3>${balance(e)}
${items.length > 0 ? `<h3>The concepts that weigh most</h3><ol class="concepts">${items.join('')}</ol><p>${e.others.count} other concepts together: <b>${signedPercent(e.others.share)}</b></p><p>${escapeHtml(sumLine(e))}</p>` : '<p>No autoencoder: the pixels are explained, concepts are not.</p>'}
<p class="note ${isHolding ? '' : 'bad'}">${escapeHtml(`${ledgerLine(e)} ${fidelityLine(e)}`)}</p>
<details><summary>Highest classes</summary><table><thead><tr><th>class</th><th>probability</th><th>logit</th></tr></thead><tbody>${ranking}</tbody></table></details>
<details><summary>Ledger: the sums, term by term</summary><pre>${escapeHtml(e.ledgers.map((ledger) => formatLedger(ledger).join('\n')).join('\n\n'))}</pre></details>
</div></div></article>`;
}

/** The page around the articles. */
export function reportPage(
  context: ReportContext,
  articles: readonly string[],
  skipped: readonly SkippedImage[],
  total = articles.length,
): string {
  const saes = context.autoencoders
    .map((s) => `${s.latents} concepts at ${s.tap}, ${s.k} a position`)
    .join('; ');
  const bad = skipped.map((s) => `<li>${escapeHtml(s.name)}: ${escapeHtml(s.message)}</li>`).join('');
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>Why the network said so</title><style>${STYLE}</style></head>
<body><header><h1>Why the network said so</h1>
<p class="note">${escapeHtml(context.model.arch)}, ${context.model.classes} classes${saes === '' ? '' : `; ${escapeHtml(saes)}`}. ${total} ${total === 1 ? 'image' : 'images'}${total > articles.length ? `, the first ${articles.length} below (pictures of all lie beside this page)` : ''}${skipped.length > 0 ? `, ${skipped.length} skipped` : ''}.
${SHARE_NOTE} Red speaks for the answer, blue against it. A concept's picture shows the part of the photograph that its activations come from.</p></header>
<main>${articles.join('\n')}</main>${bad === '' ? '' : `<section><h3>Skipped</h3><ul>${bad}</ul></section>`}</body></html>
`;
}
