/*
 * The first page of a gallery: all cards as small mosaics, found by number or class. It stays small however many cards
 * there are: a few numbers a concept lie in the page, pictures are files, and only what is looked at is shown.
 */
import { escapeHtml } from '../../report/page.js';
import { galleryDocument } from '../pageStyle.js';
import type { ConceptCard, Gallery } from './gallerySchema.js';
import { countOf, galleryLedgerLine, galleryLine, shortTitle } from './galleryWords.js';

/** Pictures of a mosaic. */
const MOSAIC = 4;
/** A concept is found by a class that has at least this part of its positive contribution. */
const FOUND_SHARE = 0.05;

/** What the page knows of a concept: number, main classes, classes that it is found by, shares of evidence and of images, pictures. */
type Item = readonly [
  concept: number,
  title: string,
  classes: string,
  evidence: number,
  active: number,
  samples: readonly number[],
];

function itemOf(card: ConceptCard): Item {
  const digits = (share: number): number => Number(share.toPrecision(4));
  const names = card.classes.predicted
    .concat(card.classes.labelled)
    .filter(({ share }) => share >= FOUND_SHARE)
    .map((one) => one.class.name);
  return [
    card.concept,
    shortTitle(card),
    [...new Set(names)].join('\n').toLowerCase(),
    digits(card.positiveShare),
    digits(card.activeShare),
    card.shown.slice(0, MOSAIC).map(({ sample }) => sample),
  ];
}

/** Script of the page: what is typed chooses, a button shows more. Kept free of anything but the page's own data. */
const SCRIPT = `
const items=JSON.parse(document.getElementById('items').textContent),list=document.getElementById('list'),more=document.getElementById('more'),found=document.getElementById('found'),search=document.getElementById('search'),sort=document.getElementById('sort');
const STEP=60,pad=(n,d)=>String(n).padStart(d,'0'),percent=s=>{const v=100*s;return(v>=10||v===0?v.toFixed(0):v.toPrecision(2))+' %'};
let chosen=[],shown=0;
function entry([concept,title,,evidence,active,samples]){const li=document.createElement('li'),a=document.createElement('a'),mosaic=document.createElement('div');a.href='cards/'+pad(concept,5)+'.html';mosaic.className='mosaic';
for(const s of samples){const img=document.createElement('img');img.loading='lazy';img.width=img.height=216;img.alt='concept '+concept;img.src='cutouts/'+pad(concept,5)+'/'+pad(s,7)+'.webp';mosaic.append(img)}
const b=document.createElement('b');b.textContent=title||'no class';const small=document.createElement('small');small.textContent='concept '+concept+' · '+percent(evidence)+' of all evidence · in '+percent(active)+' of the images';a.append(mosaic,b,small);li.append(a);return li}
function grow(){list.append(...chosen.slice(shown,shown+STEP).map(entry));shown=Math.min(chosen.length,shown+STEP);more.hidden=shown>=chosen.length}
function choose(){const words=search.value.trim().toLowerCase(),number=/^\\d+$/.test(words)?Number(words):null;chosen=items.filter(i=>words===''||(number===null?i[2].includes(words):i[0]===number));
if(sort.value!=='as')chosen.sort((a,b)=>sort.value==='number'?a[0]-b[0]:sort.value==='active'?b[4]-a[4]||a[0]-b[0]:b[3]-a[3]||a[0]-b[0]);
list.replaceChildren();shown=0;grow();found.textContent=chosen.length===items.length?'':chosen.length+' of '+items.length+' concepts'}
search.addEventListener('input',choose);sort.addEventListener('change',choose);more.addEventListener('click',grow);
const asked=new URLSearchParams(location.search).get('q');if(asked!==null)search.value=asked;choose();
`;

/** The page of all cards. */
export function galleryPage(gallery: Gallery): string {
  const items = JSON.stringify(gallery.concepts.map(itemOf)).replace(/</g, '\\u003c');
  const { summary, skipped } = gallery;
  const bad = skipped.map((one) => `<li>${escapeHtml(one.message)}</li>`).join('');
  const body = `<nav><a href="classes.html">Classes, and which concepts they stand on</a></nav>
<h1>What the network's concepts are</h1>
<p class="note">${escapeHtml(galleryLine(gallery))}<br><span class="${summary.failed === 0 ? '' : 'bad'}">${escapeHtml(galleryLedgerLine(gallery))}</span></p>
<p class="note">Each field is a concept in the images where it decided most: what carries it is clear, the rest pale. Below, the classes that it speaks for. "Evidence": its part of all positive contributions to the answers.</p>
<div class="controls"><input id="search" type="search" placeholder="concept number or class" aria-label="concept number or class">
<select id="sort" aria-label="order"><option value="as">in the order of the gallery</option><option value="evidence">most evidence first</option><option value="active">most often active first</option><option value="number">by number</option></select><span id="found" class="note" role="status"></span></div>
<ul id="list" class="grid"></ul><button id="more" hidden>Show more</button>
<noscript><p>Without scripts: <a href="classes.html">by class</a>, or the files in <code>cards/</code>.</p></noscript>
${bad === '' ? '' : `<h2>${escapeHtml(countOf(skipped.length, 'picture'))} could not be read</h2><ul class="note">${bad}</ul>`}
<script type="application/json" id="items">${items}</script>`;
  return galleryDocument('Concepts', body, SCRIPT);
}
