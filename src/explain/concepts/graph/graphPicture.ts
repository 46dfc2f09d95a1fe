/*
 * A concept graph as an SVG picture: pixels, early concepts, late concepts, class from left to right. Heights and widths are
 * shares, so each column is 100 % of the evidence; red speaks for the class, blue against it. Text is text, fitted by the widths of
 * DejaVu Sans, which few fonts exceed.
 */
import { AGAINST_COLOUR, FOR_COLOUR } from '../../picture/colours.js';
import { signed } from '../../report/words.js';
import type { ConceptGraph, GraphEdge, GraphNode } from './graph.js';
import { hopSize, worstHop } from './graphHops.js';
import { escapeXml, GREY, svgDocument, words } from './graphSvg.js';

/** What a graph is shown with. */
export interface GraphPictureOptions {
  readonly title: string;
  readonly subtitle: string;
  /** Small square pictures of nodes, as data URLs. */
  readonly tiles: ReadonlyMap<string, string>;
}

const MARGIN = 26;
const BOX = 206;
const GAP = 170;
const TOP = 128;
const TILE = 60;
const SLOT = 68;
/** A node without a picture needs two lines only. */
const SMALL_SLOT = 40;
const SPACE = 8;
/** Height of 100 %. */
const FULL = 470;
const BAR = 6;
const FOOT = 74;

const PAPER = '#f5f5f4';

interface Placed {
  readonly node: GraphNode;
  readonly x: number;
  /** Box, and the bar inside it. */
  readonly y: number;
  readonly height: number;
  readonly bar: number;
  /** Where the next ribbon begins. */
  left: number;
  right: number;
}

const percentText = (share: number): string => {
  const value = 100 * share;
  return `${value >= 9.95 ? value.toFixed(0) : value >= 0.95 ? value.toFixed(1) : value.toPrecision(1)} %`;
};

/** Nodes of a column from top to bottom: by share, "others" and constants last; regions in reading order. */
function ordered(nodes: readonly GraphNode[]): GraphNode[] {
  const rank = ({ kind }: GraphNode): number => (kind === 'others' ? 1 : kind === 'constant' ? 2 : 0);
  return [...nodes].sort((a, b) =>
    rank(a) !== rank(b)
      ? rank(a) - rank(b)
      : a.kind === 'region'
        ? (a.number ?? 0) - (b.number ?? 0)
        : b.share - a.share,
  );
}

/** Places the nodes of all columns, each column centred on the tallest. */
function place(graph: ConceptGraph, tiles: ReadonlyMap<string, string>) {
  const first = graph.nodes.some(({ column }) => column === 0) ? 0 : 1;
  const columns = Array.from({ length: graph.taps.length + 2 - first }, (_, i) =>
    ordered(graph.nodes.filter(({ column }) => column === i + first)),
  );
  const heightOf = (node: GraphNode): number =>
    Math.max(tiles.has(node.id) || node.kind === 'class' ? SLOT : SMALL_SLOT, FULL * node.share + SPACE);
  const heights = columns.map((nodes) => nodes.reduce((sum, node) => sum + heightOf(node) + SPACE, -SPACE));
  const tallest = Math.max(...heights);
  const placed = new Map<string, Placed>();
  columns.forEach((nodes, c) => {
    let y = TOP + (tallest - heights[c]) / 2;
    for (const node of nodes) {
      const height = heightOf(node);
      const bar = y + (height - FULL * node.share) / 2;
      placed.set(node.id, {
        node,
        x: MARGIN + c * (BOX + GAP),
        y,
        height,
        bar,
        left: bar,
        right: bar,
      });
      y += height + SPACE;
    }
  });
  return { placed, columns, first, tallest };
}

/** A ribbon of one width between two heights. */
function ribbon(x0: number, y0: number, x1: number, y1: number, width: number, colour: string): string {
  const half = (x0 + x1) / 2;
  const at = (v: number): string => v.toFixed(1);
  const top = `M${at(x0)} ${at(y0)}C${at(half)} ${at(y0)} ${at(half)} ${at(y1)} ${at(x1)} ${at(y1)}`;
  const back = `L${at(x1)} ${at(y1 + width)}C${at(half)} ${at(y1 + width)} ${at(half)} ${at(y0 + width)} ${at(x0)} ${at(y0 + width)}Z`;
  return `<path fill="${colour}" fill-opacity="0.36" d="${top}${back}">`;
}

function drawEdges(graph: ConceptGraph, placed: ReadonlyMap<string, Placed>): string {
  const at = (id: string): Placed => {
    const found = placed.get(id);
    if (found === undefined) throw new Error(`no node ${id} in the graph`);
    return found;
  };
  const widthOf = (edge: GraphEdge): number => FULL * edge.share * at(edge.to).node.share;
  // Ribbons leave and arrive in the order of what they lead to, so that few of them cross.
  const byPlace = [...graph.edges].sort((a, b) => at(a.to).y - at(b.to).y || at(a.from).y - at(b.from).y);
  const starts = new Map<GraphEdge, number>();
  for (const edge of byPlace) {
    const from = at(edge.from);
    starts.set(edge, from.right);
    from.right += widthOf(edge);
  }
  const arrivals = [...graph.edges].sort((a, b) => at(a.from).y - at(b.from).y);
  return arrivals
    .map((edge) => {
      const [from, to] = [at(edge.from), at(edge.to)];
      const width = widthOf(edge);
      let y0 = starts.get(edge) ?? from.bar;
      let y1 = to.left;
      to.left += width;
      const absolute = edge.positive - edge.negative;
      const parts = [
        { size: edge.positive, colour: FOR_COLOUR },
        { size: -edge.negative, colour: AGAINST_COLOUR },
      ];
      return parts
        .filter(({ size }) => size > 0)
        .map(({ size, colour }) => {
          const part = (width * size) / absolute;
          const title = `${from.node.name} → ${to.node.name}: ${signed(edge.contribution)} logits, ${percentText(edge.share)} of what ${to.node.name} is made of`;
          const path = ribbon(from.x + BOX, y0, to.x, y1, part, colour);
          y0 += part;
          y1 += part;
          return `${path}<title>${escapeXml(title)}</title></path>`;
        })
        .join('');
    })
    .join('\n');
}

function drawNode(graph: ConceptGraph, placed: Placed, tile: string | undefined, isFirst: boolean): string {
  const { node, x, y, height, bar } = placed;
  const colour = node.contribution < 0 ? AGAINST_COLOUR : FOR_COLOUR;
  const barHeight = Math.max(0.8, FULL * node.share).toFixed(1);
  const bars = [
    ...(isFirst || node.kind === 'constant' ? [] : [x]),
    ...(node.kind === 'class' ? [] : [x + BOX - BAR]),
  ]
    .map(
      (left) =>
        `<rect x="${left}" y="${bar.toFixed(1)}" width="${BAR}" height="${barHeight}" fill="${colour}"/>`,
    )
    .join('');
  const middle = y + height / 2;
  const picture =
    tile === undefined
      ? ''
      : `<image x="${x + BAR + 6}" y="${(middle - TILE / 2).toFixed(1)}" width="${TILE}" height="${TILE}" href="${tile}"/>`;
  const left = x + BAR + 6 + (tile === undefined ? 0 : TILE + 9);
  const room = x + BOX - BAR - 4 - left;
  const share = node.kind === 'class' ? '' : percentText(node.share);
  const lines =
    node.kind === 'class'
      ? [
          words(node.name, left, middle - 14, 17, { bold: true, room }),
          words(`score ${signed(graph.score)}`, left, middle + 7, 14, { room }),
          words(`logit ${signed(graph.score + graph.bias)}`, left, middle + 26, 14, { colour: GREY, room }),
        ]
      : tile === undefined
        ? [
            words(node.name, left, middle - 3, 14, { room }),
            words(`${share}   ${signed(node.contribution)}`, left, middle + 14, 13, { colour: GREY, room }),
          ]
        : [
            words(node.name, left, middle - 11, 14, { room }),
            words(share, left, middle + 9, 17, { bold: true, colour, room }),
            words(signed(node.contribution), left, middle + 26, 13, { colour: GREY, room }),
          ];
  const title = `${node.name}: ${share === '' ? '' : `${share} of the evidence, `}${signed(node.contribution)} logits`;
  return `<g><title>${escapeXml(title)}</title><rect x="${x}" y="${y.toFixed(1)}" width="${BOX}" height="${height.toFixed(1)}" fill="${PAPER}"/>${bars}${picture}${lines.join('')}</g>`;
}

function columnTitle(graph: ConceptGraph, column: number): string {
  if (column === 0) return 'where in the picture';
  if (column > graph.taps.length) return 'the class';
  const tap = graph.taps[column - 1];
  if (graph.taps.length === 1) return `concepts at ${tap}`;
  const name = column === 1 ? 'early concepts' : column === graph.taps.length ? 'late concepts' : 'concepts';
  return `${name}, ${tap}`;
}

/** "All 36 sums checked: largest residual 3.0e-7 of the terms." */
export function graphSumsLine(graph: ConceptGraph): string {
  const sums = graph.hops.reduce((n, hop) => n + hop.sums, 0);
  const failing = graph.hops.filter(({ holds }) => !holds);
  const found = worstHop(graph.hops);
  const worst = found === undefined ? 0 : hopSize(found.worst);
  const size = worst === 0 ? '0' : worst.toExponential(1).replace('-', '−');
  return failing.length === 0
    ? `All ${sums} sums checked: largest residual ${size} of the terms.`
    : `Sums DO NOT HOLD at ${failing.map(({ to, from }) => `${to} from ${from}`).join(', ')}: largest residual ${size} of the terms.`;
}

/** Draws a graph as an SVG document. */
export function drawGraph(graph: ConceptGraph, options: GraphPictureOptions): string {
  const { placed, columns, first, tallest } = place(graph, options.tiles);
  const width = 2 * MARGIN + columns.length * BOX + (columns.length - 1) * GAP;
  const height = TOP + tallest + FOOT;
  const titles = columns.map((_, c) =>
    words(columnTitle(graph, c + first), MARGIN + c * (BOX + GAP), TOP - 18, 15, {
      bold: true,
      room: BOX + GAP - 10,
    }),
  );
  const nodes = [...placed.values()].map((one) =>
    drawNode(graph, one, options.tiles.get(one.node.id), one.node.column === first),
  );
  const room = width - 2 * MARGIN;
  const note = 'Width: share of what it leads to, so every column adds up to 100 % of the evidence.';
  const colours = `Red speaks for ${graph.target.name}, blue against it; numbers are logits. ${graphSumsLine(graph)}`;
  return svgDocument(width, height, options.title, [
    words(options.title, MARGIN, 42, 26, { bold: true, room }),
    words(options.subtitle, MARGIN, 70, 15, { colour: GREY, room }),
    ...titles,
    drawEdges(graph, placed),
    ...nodes,
    words(note, MARGIN, height - 38, 14, { colour: GREY, room }),
    words(colours, MARGIN, height - 17, 14, { colour: GREY, room }),
  ]);
}
