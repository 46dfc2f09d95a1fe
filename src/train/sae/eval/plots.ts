/** The kinds of plots of an evaluation's page: bars of a histogram, lines, dots. */
import { escapeHtml } from '../../../explain/report/page.js';
import { type Axis, fixed, placeX, placeY, plot, WIDTH } from './axes.js';
import type { Histogram } from './histogram.js';

/** A vertical line with a word, e.g. a median. */
export interface Mark {
  readonly at: number;
  readonly text: string;
}

function markLines(marks: readonly Mark[], x: Axis, y: Axis): string {
  return marks
    .filter(({ at }) => at >= x.from && at <= x.to)
    .map(({ at, text }, i) => {
      const place = placeX(x, at);
      const isRight = place > WIDTH * 0.72;
      const height = placeY(y, y.to) + 14 + 17 * i;
      return `<path d="M${fixed(place)} ${fixed(placeY(y, y.from))}V${fixed(placeY(y, y.to))}" class="mark"/><text x="${fixed(place + (isRight ? -6 : 6))}" y="${fixed(height)}" text-anchor="${isRight ? 'end' : 'start'}" class="note">${escapeHtml(text)}</text>`;
    })
    .join('');
}

export interface BarPlot {
  readonly title: string;
  readonly x: Omit<Axis, 'from' | 'to'>;
  readonly yLabel: string;
  readonly histogram: Histogram;
  readonly marks?: readonly Mark[];
}

/** Bars of a histogram; edges are in the units of the x axis (of a logarithmic one too). */
export function barPlot({ title, x, yLabel, histogram, marks = [] }: BarPlot): string {
  const { edges, counts } = histogram;
  const xAxis: Axis = { ...x, from: edges[0], to: edges[edges.length - 1] };
  const yAxis: Axis = { label: yLabel, from: 0, to: Math.max(1, ...counts) * 1.08 };
  const bars = counts
    .map((count, i) => {
      if (count === 0) return '';
      const [left, right, top] = [placeX(xAxis, edges[i]), placeX(xAxis, edges[i + 1]), placeY(yAxis, count)];
      return `<rect x="${fixed(left + 0.5)}" y="${fixed(top)}" width="${fixed(Math.max(0.8, right - left - 1))}" height="${fixed(placeY(yAxis, 0) - top)}" class="bar"><title>${escapeHtml(`${count.toLocaleString('en-US')} between ${edges[i].toPrecision(3)} and ${edges[i + 1].toPrecision(3)}`)}</title></rect>`;
    })
    .join('');
  return plot(title, xAxis, yAxis, bars + markLines(marks, xAxis, yAxis));
}

export interface Line {
  readonly name: string;
  readonly points: readonly (readonly [number, number])[];
  /** Drawn around the line: lower and upper value at each point. */
  readonly band?: readonly (readonly [number, number])[];
  /** Dashed grey: what chance gives. */
  readonly isBaseline?: boolean;
}

export interface LinePlot {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly lines: readonly Line[];
  readonly marks?: readonly Mark[];
}

const COLOURS = ['#2166ac', '#b2182b', '#1b7837', '#762a83', '#b35806'];

/** Lines with a legend where there are several. */
export function linePlot({ title, x, y, lines, marks = [] }: LinePlot): string {
  const at = (px: number, py: number): string =>
    `${fixed(placeX(x, px))} ${fixed(placeY(y, Math.min(y.to, Math.max(y.from, py))))}`;
  let colours = 0;
  const drawn = lines.map(({ points, band, isBaseline }) => {
    const colour = isBaseline ? '#767676' : COLOURS[colours++ % COLOURS.length];
    const area =
      band === undefined
        ? ''
        : `<path d="M${[...points.map(([px], i) => at(px, band[i][1])), ...points.map(([px], i) => at(px, band[i][0])).reverse()].join('L')}Z" fill="${colour}" opacity=".16"/>`;
    const path = `<path d="M${points.map(([px, py]) => at(px, py)).join('L')}" fill="none" stroke="${colour}" stroke-width="2.2"${isBaseline ? ' stroke-dasharray="5 4"' : ''}/>`;
    return { colour, svg: area + path };
  });
  const legend =
    lines.length < 2
      ? ''
      : `<p class="legend">${lines.map(({ name, isBaseline }, i) => `<span><svg width="26" height="10" aria-hidden="true"><path d="M1 5H25" stroke="${drawn[i].colour}" stroke-width="2.5"${isBaseline ? ' stroke-dasharray="5 4"' : ''}/></svg>${escapeHtml(name)}</span>`).join('')}</p>`;
  return plot(title, x, y, drawn.map(({ svg }) => svg).join('') + markLines(marks, x, y)) + legend;
}

export interface DotPlot {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly dots: readonly (readonly [number, number])[];
}

/** A dot for each pair of values. */
export function dotPlot({ title, x, y, dots }: DotPlot): string {
  const drawn = dots.map(([px, py]) => `M${fixed(placeX(x, px))} ${fixed(placeY(y, py))}h0`).join('');
  return plot(title, x, y, `<path d="${drawn}" class="dots"/>`);
}

/** A plot with its heading and the sentence below it. */
export function figure(heading: string, drawing: string, sentence: string): string {
  return `<figure><h3>${escapeHtml(heading)}</h3>${drawing}<figcaption>${escapeHtml(sentence)}</figcaption></figure>`;
}
