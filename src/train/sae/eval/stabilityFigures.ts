/** The part of the page about other autoencoders: matched cosines and subspaces. */
import { escapeHtml } from '../../../explain/report/page.js';
import type { SaeEvaluation, SubspaceOverlap } from './evaluationSchema.js';
import { headlineMatch, percent, whole } from './evaluationText.js';
import { figure, type Line, linePlot } from './plots.js';

function sharePoints(sorted: readonly number[]): (readonly [number, number])[] {
  const last = Math.max(1, sorted.length - 1);
  return sorted.map((cosine, i) => [(100 * i) / last, cosine] as const);
}

function overlapLines(e: SaeEvaluation, kind: 'principal' | 'mostUsed', names: readonly string[]): Line[] {
  const lines = e.stability.flatMap((other, i) => {
    const overlap: SubspaceOverlap | null = other[kind];
    return overlap === null
      ? []
      : [{ name: names[i], points: overlap.curve.map((at) => [at.dimensions, at.overlap] as const) }];
  });
  const first = e.stability[0][kind];
  if (first === null) return [];
  const chance = first.curve.map((at) => [at.dimensions, at.random] as const);
  return [...lines, { name: 'chance', points: chance, isBaseline: true }];
}

/** Nothing where no other autoencoder was given. */
export function stabilityFigures(e: SaeEvaluation): string {
  if (e.stability.length === 0) return '';
  const names = e.stability.map(({ path }) => path);
  const figures = [
    figure(
      'Does every concept come again?',
      linePlot({
        title: 'Matched cosines, sorted',
        x: { label: 'of the matched concepts, the most alike first (%)', from: 0, to: 100 },
        y: {
          label: 'cosine of the pair',
          from: Math.min(0, ...e.stability.flatMap((s) => [...s.sortedCosines, ...s.sortedRandomCosines])),
          to: 1,
        },
        lines: [
          ...e.stability.map((other, i) => ({ name: names[i], points: sharePoints(other.sortedCosines) })),
          { name: 'chance', points: sharePoints(e.stability[0].sortedRandomCosines), isBaseline: true },
        ],
      }),
      'Each concept is paired with one of an autoencoder that was trained from another beginning, so that all pairs together are as alike as possible; 1 is the same direction. Chance: the same with the other’s directions shuffled channel by channel.',
    ),
  ];
  const lines = overlapLines(e, 'principal', names);
  if (lines.length > 0) {
    figures.push(
      figure(
        'Do they use the same part of the space?',
        linePlot({
          title: 'Overlap of principal subspaces',
          x: { label: 'dimensions (number, logarithmic)', from: 1, to: e.autoencoder.channels, isLog: true },
          y: { label: 'overlap of the subspaces', from: 0, to: 1 },
          lines,
        }),
        'The directions that carry most of what the concepts say, as a subspace: 1 where both autoencoders use the same one, though their concepts may divide it differently. Chance: random subspaces of as many dimensions.',
      ),
    );
  }
  const rows = e.stability
    .map((other) => {
      const match = headlineMatch(other);
      const cells = [
        whole(match.pairs),
        match.mean.toFixed(3),
        match.random.mean.toFixed(3),
        percent(match.above90Percent, 1),
        percent(match.above70Percent, 1),
        other.principal === null
          ? 'n/a'
          : `${other.principal.overlap.toFixed(3)} (${other.principal.random.toFixed(3)})`,
        other.mostUsed === null
          ? 'n/a'
          : `${other.mostUsed.overlap.toFixed(3)} (${other.mostUsed.random.toFixed(3)})`,
      ];
      return `<tr><td>${escapeHtml(other.path)}</td>${cells.map((cell) => `<td class="n">${escapeHtml(cell)}</td>`).join('')}</tr>`;
    })
    .join('');
  const dimensions = e.stability[0].principal?.dimensions ?? 0;
  const heads = [
    'pairs',
    'mean cosine',
    'chance',
    'above 0.9',
    'above 0.7',
    `principal overlap (chance), ${whole(dimensions)} dimensions`,
    'overlap of the most used (chance)',
  ];
  return `<h2>Other beginnings</h2><div class="figures">${figures.join('')}</div>
<div class="wide"><table><thead><tr><th>autoencoder</th>${heads.map((head) => `<th class="n">${escapeHtml(head)}</th>`).join('')}</tr></thead><tbody>${rows}</tbody></table></div>`;
}
