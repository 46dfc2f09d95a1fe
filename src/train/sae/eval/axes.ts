/** Axes of plots as SVG text: scales, ticks, labels. Nothing but strings; a viewBox scales with the page. */
import { escapeHtml } from '../../../explain/report/page.js';

export interface Axis {
  readonly label: string;
  readonly from: number;
  readonly to: number;
  readonly isLog?: boolean;
  /** How a tick is written. Default: as short as it can be. */
  readonly format?: (value: number) => string;
}

export const WIDTH = 640;
const HEIGHT = 340;
const LEFT = 66;
const RIGHT = 28;
const TOP = 14;
const BOTTOM = 52;
/** Ticks that an axis has at most. */
const MOST_TICKS = 7;

/** 1, 2 or 5 times a power of ten, so that at most so many steps fit. */
function niceStep(span: number, most: number): number {
  const rough = span / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  return ([1, 2, 5, 10].find((factor) => factor * power >= rough * (1 - 1e-9)) ?? 10) * power;
}

/** Where an axis has ticks. */
export function ticksOf({ from, to, isLog }: Pick<Axis, 'from' | 'to' | 'isLog'>): number[] {
  if (isLog) {
    const [low, high] = [Math.log10(from), Math.log10(to)];
    const factors = high - low > 3 ? [1] : high - low > 1.5 ? [1, 3] : [1, 2, 5];
    const ticks: number[] = [];
    for (let e = Math.floor(low); e <= Math.ceil(high); e++)
      for (const factor of factors) {
        const value = factor * 10 ** e;
        if (value >= from * (1 - 1e-9) && value <= to * (1 + 1e-9)) ticks.push(value);
      }
    return ticks;
  }
  const step = niceStep(to - from, MOST_TICKS);
  const ticks: number[] = [];
  for (let i = Math.ceil(from / step - 1e-9); i * step <= to + 1e-9 * step; i++) ticks.push(i * step + 0);
  return ticks;
}

/** A number without needless digits: 1,000, 0.02, 1e-6. */
export function shortNumber(value: number): string {
  if (value !== 0 && Math.abs(value) < 1e-3) return value.toExponential(0);
  return value.toLocaleString('en-US', { maximumSignificantDigits: 4 });
}

/** Place of a value on the drawing. */
export function placeX({ from, to, isLog }: Axis, value: number): number {
  const t = isLog ? Math.log(value / from) / Math.log(to / from) : (value - from) / (to - from);
  return LEFT + t * (WIDTH - LEFT - RIGHT);
}

export function placeY({ from, to, isLog }: Axis, value: number): number {
  const t = isLog ? Math.log(value / from) / Math.log(to / from) : (value - from) / (to - from);
  return HEIGHT - BOTTOM - t * (HEIGHT - TOP - BOTTOM);
}

export const fixed = (value: number): string => value.toFixed(1);

/** A whole plot: grid and axes behind `content`. `title` is what a screen reader says. */
export function plot(title: string, x: Axis, y: Axis, content: string): string {
  const [bottom, right] = [HEIGHT - BOTTOM, WIDTH - RIGHT];
  const across = ticksOf(x)
    .map((value) => {
      const at = fixed(placeX(x, value));
      return `<path d="M${at} ${bottom}v5" class="axis"/><text x="${at}" y="${bottom + 19}" text-anchor="middle">${escapeHtml((x.format ?? shortNumber)(value))}</text>`;
    })
    .join('');
  const up = ticksOf(y)
    .map((value) => {
      const at = fixed(placeY(y, value));
      return `<path d="M${LEFT} ${at}H${right}" class="grid"/><text x="${LEFT - 8}" y="${Number(at) + 4}" text-anchor="end">${escapeHtml((y.format ?? shortNumber)(value))}</text>`;
    })
    .join('');
  const middle = fixed((TOP + bottom) / 2);
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeHtml(title)}">${up}${content}<path d="M${LEFT} ${TOP}V${bottom}H${right}" class="axis"/>${across}<text x="${(LEFT + right) / 2}" y="${HEIGHT - 10}" text-anchor="middle" class="label">${escapeHtml(x.label)}</text><text transform="translate(15 ${middle}) rotate(-90)" text-anchor="middle" class="label">${escapeHtml(y.label)}</text></svg>`;
}
