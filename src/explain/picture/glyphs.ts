import { BOLD, BOOK } from './glyphOutlines.js';

type Glyph = readonly [advance: number, path: string];

const UNITS = 1000;

/** Reads the table of a font: one line a glyph, "character advance path". */
function readFont(table: string): Map<string, Glyph> {
  const font = new Map<string, Glyph>();
  for (const line of table.split('\n').slice(1, -1)) {
    const [character, advance, ...path] = line.startsWith('  ')
      ? [' ', ...line.slice(2).split(' ')]
      : line.split(' ');
    font.set(character === 'backquote' ? '`' : character, [Number(advance), path.join(' ')]);
  }
  return font;
}

let fonts: { readonly book: Map<string, Glyph>; readonly bold: Map<string, Glyph> } | null = null;

function glyphOf(character: string, isBold: boolean): Glyph {
  fonts ??= { book: readFont(BOOK), bold: readFont(BOLD) };
  const font = isBold ? fonts.bold : fonts.book;
  return font.get(character) ?? font.get('?') ?? [0, ''];
}

/** Width of a text in pixels. */
export function textWidth(text: string, size: number, bold = false): number {
  let width = 0;
  for (const character of text) width += glyphOf(character, bold)[0];
  return (width * size) / UNITS;
}

/** SVG path data of a text whose baseline begins at (x, y). Characters without an outline become "?". */
export function textPath(text: string, x: number, y: number, size: number, bold = false): string {
  const scale = size / UNITS;
  let at = x;
  let out = '';
  for (const character of text.normalize('NFC')) {
    const [advance, path] = glyphOf(character, bold);
    let isX = false;
    out += path.replace(/-?\d+/g, (number) => {
      isX = !isX;
      return (Number(number) * scale + (isX ? at : y)).toFixed(2);
    });
    at += advance * scale;
  }
  return out;
}
