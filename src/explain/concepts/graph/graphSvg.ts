/** What the SVG pictures of concept graphs, comparisons and edits share. */
import { textWidth } from '../../picture/glyphs.js';

export const INK = '#1a1a1a';
export const GREY = '#5a5a5a';

/** Text as XML; what XML cannot hold at all (control characters, halves of a pair) becomes U+FFFD. */
export function escapeXml(text: string): string {
  return text
    .replace(/[^\t\n\r -\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '\ufffd')
    .replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

/** Cut to a width in pixels. */
function fitted(text: string, size: number, room: number, bold = false): string {
  let shown = text;
  while (shown.length > 1 && textWidth(shown, size, bold) > room) shown = `${shown.slice(0, -2).trimEnd()}…`;
  return shown;
}

/** A line of text whose baseline begins at (x, y), cut to `room` pixels. */
export function words(
  text: string,
  x: number,
  y: number,
  size: number,
  { bold = false, colour = INK, room = Number.POSITIVE_INFINITY } = {},
): string {
  const weight = bold ? ' font-weight="700"' : '';
  return `<text x="${x}" y="${y.toFixed(1)}" font-size="${size}"${weight} fill="${colour}">${escapeXml(fitted(text, size, room, bold))}</text>`;
}

/** A box. */
export function box(x: number, y: number, width: number, height: number, fill: string): string {
  const at = (v: number): string => v.toFixed(1);
  return `<rect x="${at(x)}" y="${at(y)}" width="${at(Math.max(0, width))}" height="${at(height)}" fill="${fill}"/>`;
}

/** A small picture. */
export function tile(x: number, y: number, size: number, url: string | undefined): string {
  if (url === undefined) return box(x, y, size, size, '#f1f1f1');
  return `<image x="${x}" y="${y.toFixed(1)}" width="${size}" height="${size}" href="${url}"/>`;
}

/** An SVG document on white, named for screen readers. */
export function svgDocument(width: number, height: number, title: string, parts: readonly string[]): string {
  const size = `width="${width}" height="${height.toFixed(0)}"`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height.toFixed(0)}" ${size} font-family="DejaVu Sans,Verdana,Arial,sans-serif" role="img" aria-label="${escapeXml(title)}">
<rect ${size} fill="#fff"/>
${parts.join('\n')}
</svg>
`;
}
