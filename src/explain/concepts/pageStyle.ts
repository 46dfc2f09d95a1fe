import { createHash } from 'node:crypto';
import { AGAINST_COLOUR, FOR_COLOUR } from '../picture/colours.js';
import { escapeHtml } from '../report/page.js';

/** Style sheet of all pages of a gallery. */
export const GALLERY_STYLE = `
:root{color-scheme:light;--for:${FOR_COLOUR};--against:${AGAINST_COLOUR};--ink:#1a1a1a;--soft:#5a5a5a;--rule:#dcdcdc}
*{box-sizing:border-box}
body{font:16px/1.45 system-ui,sans-serif;margin:0 auto;max-width:1320px;padding:1.5rem;color:var(--ink);background:#fff}
a{color:#1d4f91;text-decoration:none}a:hover,a:focus{text-decoration:underline}
h1{font-size:1.7rem;margin:.2rem 0 .3rem}h2{font-size:1.15rem;margin:1.8rem 0 .2rem}h3{font-size:1rem;margin:1rem 0 .4rem}
.note,figcaption{color:var(--soft);font-size:.87rem}.note{margin:.2rem 0 .6rem;max-width:60rem}
.bad{color:var(--for);font-weight:700}nav{font-size:.95rem}
img{display:block;width:100%;height:auto;background:#f2f2f2}
.tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(132px,1fr));gap:1rem .8rem;margin:.5rem 0}
figure{margin:0}figcaption{line-height:1.3;margin-top:.3rem}figcaption b{color:var(--ink);font-weight:600}
.tiles figure .whole,.tiles figure .colours{display:none}
.frame{position:relative}.frame i{position:absolute;border:2px solid #fff;box-shadow:0 0 0 1px rgba(0,0,0,.65),inset 0 0 0 1px rgba(0,0,0,.4)}
.choice{margin:.9rem 0 .2rem}.choice label{margin-right:1.2rem;cursor:pointer}
#as-whole:checked~section .cut,#as-colours:checked~section .cut{display:none}
#as-whole:checked~section .whole,#as-colours:checked~section .colours{display:block}
#as-cut,#as-whole,#as-colours{position:absolute;opacity:0}
#as-cut:checked~.choice [for=as-cut],#as-whole:checked~.choice [for=as-whole],#as-colours:checked~.choice [for=as-colours]{font-weight:700;color:var(--ink);border-bottom:2px solid var(--for)}
#as-cut:focus-visible~.choice [for=as-cut],#as-whole:focus-visible~.choice [for=as-whole],#as-colours:focus-visible~.choice [for=as-colours]{outline:2px solid #1d4f91}
.sides{display:grid;grid-template-columns:repeat(auto-fit,minmax(330px,1fr));gap:0 3rem}
.bars{list-style:none;margin:.3rem 0;padding:0;font-size:.92rem}
.bars li{display:grid;grid-template-columns:11rem 1fr 4.2rem;gap:.7rem;align-items:center;margin:.2rem 0}
.bars li>:first-child{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.bar{height:14px;background:#f1f1f1}.bar span{display:block;height:100%;background:var(--for)}.bar span.against{background:var(--against)}
.near{display:flex;flex-wrap:wrap;gap:.9rem;list-style:none;padding:0;margin:.3rem 0}.near li{width:92px;font-size:.84rem;line-height:1.25}
.none{width:92px;height:92px;background:#f2f2f2;color:var(--soft);font-size:.75rem;display:flex;align-items:center;justify-content:center;text-align:center}
table{border-collapse:collapse;font-size:.86rem}td,th{padding:.15rem .9rem .15rem 0;text-align:right;vertical-align:top}td:first-child,th:first-child{text-align:left}th{font-weight:600}
summary{cursor:pointer}
.controls{display:flex;flex-wrap:wrap;gap:.8rem;margin:1rem 0}.controls input,.controls select{font:inherit;padding:.35rem .6rem;border:1px solid #a8a8a8;border-radius:3px;background:#fff}
.controls input{min-width:20rem;flex:0 1 26rem}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(218px,1fr));gap:1.6rem 1.3rem;list-style:none;padding:0;margin:0}
.grid a{color:inherit;display:block}.grid a:hover{text-decoration:none}.grid a:hover b{text-decoration:underline}
.mosaic{display:grid;grid-template-columns:1fr 1fr;gap:3px;margin-bottom:.4rem}.mosaic img{aspect-ratio:1;object-fit:cover}
.grid small{color:var(--soft);display:block;line-height:1.35}
#more{margin:1.5rem 0;font:inherit;padding:.4rem 1rem}
.class{border-top:1px solid var(--rule);padding:.9rem 0;content-visibility:auto;contain-intrinsic-size:auto 260px}
.class h3{margin:0}.strip{display:flex;flex-wrap:wrap;gap:.9rem;list-style:none;padding:0;margin:.5rem 0 0}.strip li{width:118px;font-size:.85rem;line-height:1.3}.strip .none{width:118px;height:118px}
`;

/** A page around a body. `script` may be one inline script; nothing is fetched from anywhere but the folder. */
export function galleryDocument(title: string, body: string, script = ''): string {
  const hash = createHash('sha256').update(script).digest('base64');
  const scripts = script === '' ? '' : ` script-src 'sha256-${hash}';`;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src 'self' file:;${scripts} style-src 'unsafe-inline'">
<title>${escapeHtml(title)}</title><style>${GALLERY_STYLE}</style></head>
<body>${body}${script === '' ? '' : `<script>${script}</script>`}</body></html>
`;
}

/** A share as a bar with its words; `full` fills it. */
export function barItem(name: string, share: number, full: number, text: string, side = ''): string {
  const length = full > 0 ? Math.min(100, (100 * Math.abs(share)) / full) : 0;
  return `<li><span>${name}</span><span class="bar"><span${side === '' ? '' : ` class="${side}"`} style="width:${length.toFixed(1)}%"></span></span><span>${escapeHtml(text)}</span></li>`;
}
