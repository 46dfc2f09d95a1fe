/** An evaluation in words: the lines of the command line, and numbers as people read them. */
import type { DecoderMatch, SaeEvaluation, SaeStability } from './evaluationSchema.js';

export const percent = (value: number, digits = 2): string => `${value.toFixed(digits)} %`;

/** A count with its thousands set off. */
export const whole = (value: number): string => value.toLocaleString('en-US');

/** A number of the size 1 to 1000 with one digit; smaller ones with two, whole ones without. */
export function amount(value: number): string {
  if (Number.isInteger(value)) return whole(value);
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2);
}

export function orNone(value: number | null, text: (value: number) => string): string {
  return value === null ? 'n/a' : text(value);
}

function deviation(value: number | null): string {
  return value === null ? '' : ` ± ${amount(value)}`;
}

/** The comparison to look at: of the concepts that are in use where there are some. */
export function headlineMatch({ alive, all }: SaeStability): DecoderMatch {
  return alive ?? all;
}

function matchWords(match: DecoderMatch): string {
  const gap = match.method === 'exact' ? '' : `, at most ${match.gap.toFixed(4)} below the best possible`;
  return `mean ${match.mean.toFixed(3)}${gap} (chance ${match.random.mean.toFixed(3)}), median ${match.quantiles.median.toFixed(3)}; above 0.9: ${percent(match.above90Percent, 1)}, above 0.7: ${percent(match.above70Percent, 1)}`;
}

/** Lines about one other autoencoder. */
export function stabilityLines(other: SaeStability): string[] {
  const match = headlineMatch(other);
  const lines = [
    `against ${other.path}: matched cosine of ${whole(match.pairs)} pairs of ${other.alive === null ? '' : 'active '}concepts: ${matchWords(match)}`,
  ];
  if (other.alive !== null && other.alive.pairs !== other.all.pairs)
    lines.push(`  all ${whole(other.all.pairs)} pairs: ${matchWords(other.all)}`);
  for (const [name, overlap] of [
    ['principal subspaces', other.principal],
    ['spans of the most used concepts', other.mostUsed],
  ] as const) {
    if (overlap === null) continue;
    lines.push(
      `  ${name} of ${overlap.dimensions} dimensions overlap by ${overlap.overlap.toFixed(3)} (chance ${overlap.random.toFixed(3)})`,
    );
  }
  return lines;
}

/** The whole evaluation as the lines that the command prints. */
export function evaluationText(e: SaeEvaluation): string {
  const { accuracy: a, reconstruction: r, sparsity, activity, contributions: c, labels, spatial } = e;
  const without =
    c.imagesWithoutPositive > 0 ? ` (${whole(c.imagesWithoutPositive)} images without any left out)` : '';
  return [
    `${whole(e.data.images)} images${e.data.broken.length > 0 ? `, ${whole(e.data.broken.length)} skipped` : ''}; ${whole(e.autoencoder.latents)} concepts at ${e.autoencoder.tap}, ${e.autoencoder.k} a position`,
    `top-1 ${percent(a.top1Percent)}, spliced ${percent(a.splicedTop1Percent)} (lost ${(a.top1Percent - a.splicedTop1Percent).toFixed(2)} points)`,
    `top-5 ${percent(a.top5Percent)}, spliced ${percent(a.splicedTop5Percent)}`,
    `same predicted class: ${percent(a.agreementPercent)}`,
    `variance explained: ${orNone(r.varianceExplained, (v) => percent(100 * v))}`,
    `L2 error: ${amount(r.l2ErrorMean)}${deviation(r.l2ErrorDeviation)} a position; features are ${amount(r.featureLengthMean)} long`,
    `active concepts: ${amount(sparsity.l0.mean)} a position, ${amount(sparsity.imageL0.mean)} an image`,
    ...(e.autoencoder.architecture === 'batchtopk' && sparsity.fullPositionsPercent > 0
      ? [
          `positions where all ${e.autoencoder.k} places are taken: ${percent(sparsity.fullPositionsPercent)}; smaller activations above the threshold may be missing there`,
        ]
      : []),
    `dead concepts: ${whole(activity.dead)} (${percent(activity.deadPercent)}); too active (at 60 % of the positions or more): ${whole(activity.tooActive.length)}`,
    `concepts to 80 % of the positive contribution: ${orNone(c.conceptsTo80, amount)} an image${without}; counted as the reference does ${amount(c.conceptsTo80AllImages)}`,
    `contributing concepts: ${whole(c.alive)} (${percent(c.alivePercent)}); in more than 85 % of the images: ${whole(c.alwaysAlive.length)}, with ${percent(c.alwaysAliveSharePercent)} of the positive contribution`,
    `label entropy of a concept: mean ${orNone(labels.entropyMean, (v) => v.toFixed(3))} nats of at most ${labels.largestEntropy.toFixed(3)}; effective classes: median ${orNone(labels.effectiveClassesQuantiles?.median ?? null, amount)}, mean ${orNone(labels.effectiveClassesMean, amount)} of ${whole(e.data.classes)}`,
    `spatial size: ${orNone(spatial.positions.mean, amount)} of ${whole(e.data.positions)} positions (${orNone(spatial.positions.meanPercent, (v) => percent(v, 1))})${
      spatial.pixels === null
        ? ''
        : `; ${amount(spatial.pixels.meanPixels)} of ${whole(spatial.pixels.imagePixels)} pixels (${percent(spatial.pixels.meanPercent, 1)}; ${whole(spatial.pixels.pairs)} pairs of ${whole(spatial.pixels.images)} images with their ${spatial.pixels.conceptsPerImage} strongest concepts)`
    }`,
    ...e.stability.flatMap(stabilityLines),
  ].join('\n');
}
