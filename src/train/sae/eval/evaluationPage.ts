/** An evaluation as one HTML page: no network, no script, plots drawn as SVG, each with a sentence that says how to read it. */
import { escapeHtml } from '../../../explain/report/page.js';
import type { SaeEvaluation } from './evaluationSchema.js';
import { amount, headlineMatch, orNone, percent, whole } from './evaluationText.js';
import { histogram, logHistogram } from './histogram.js';
import { barPlot, dotPlot, figure, linePlot } from './plots.js';
import { stabilityFigures } from './stabilityFigures.js';
import { TOO_ACTIVE } from './statistics.js';

const STYLE = `
:root{color-scheme:light}*{box-sizing:border-box}
body{font:16px/1.45 system-ui,sans-serif;margin:0 auto;max-width:1240px;padding:1.5rem;color:#1a1a1a;background:#fff}
h1{font-size:1.5rem;margin:0 0 .3rem}h2{font-size:1.25rem;margin:2rem 0 .3rem;border-top:2px solid #1a1a1a;padding-top:1rem}h3{font-size:1.02rem;font-weight:600;margin:.2rem 0}
.quiet{color:#5a5a5a;font-size:.9rem;margin:.2rem 0}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(190px,1fr));gap:.8rem;margin:1rem 0;padding:0;list-style:none}
.cards li{background:#f4f4f4;padding:.7rem .9rem}.cards b{display:block;font-size:1.5rem;line-height:1.2}.cards span{font-size:.86rem;color:#444}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,480px),1fr));gap:1.6rem 2rem}
figure{margin:0}figure>svg{display:block;width:100%;height:auto}figcaption{font-size:.9rem;color:#333;margin-top:.3rem}
svg text{font:13px system-ui,sans-serif;fill:#333}svg .label{font-size:14px;fill:#1a1a1a}svg .note{font-size:13px;fill:#1a1a1a}
svg .axis{stroke:#1a1a1a;fill:none}svg .grid{stroke:#e4e4e4;fill:none}svg .bar{fill:#5b8db8}svg .dots{fill:none;stroke:#2166ac;stroke-width:4.5;stroke-linecap:round;opacity:.35}svg .mark{stroke:#b2182b;stroke-width:1.5;stroke-dasharray:4 3;fill:none}
.legend{display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;font-size:.86rem;margin:.2rem 0 0 3.5rem}.legend svg{margin-right:.4rem}
table{border-collapse:collapse;font-size:.92rem;width:100%}td,th{padding:.25rem .9rem .25rem 0;text-align:left;vertical-align:top;border-bottom:1px solid #e4e4e4}td.n,th.n{text-align:right}td.n{white-space:nowrap}
.wide{overflow-x:auto;margin-top:1.2rem}`;

function card(value: string, meaning: string): string {
  return `<li><b>${escapeHtml(value)}</b><span>${escapeHtml(meaning)}</span></li>`;
}

function cards(e: SaeEvaluation): string {
  const { accuracy: a, contributions: c, stability } = e;
  return `<ul class="cards">${[
    card(
      percent(a.splicedTop1Percent, 1),
      `right answers with the concepts spliced in; ${percent(a.top1Percent, 1)} without them`,
    ),
    card(percent(a.agreementPercent, 1), 'of the images keep their answer'),
    card(
      orNone(e.reconstruction.varianceExplained, (v) => percent(100 * v, 1)),
      'of the variance of the features explained',
    ),
    card(orNone(c.conceptsTo80, amount), 'concepts make up 80 % of what speaks for an answer'),
    card(
      orNone(e.labels.effectiveClassesQuantiles?.median ?? null, amount),
      `classes that a concept serves (median; effective number, of ${whole(e.data.classes)})`,
    ),
    card(
      percent(e.activity.deadPercent, 1),
      `of the concepts are dead (${whole(e.activity.dead)} of ${whole(e.autoencoder.latents)})`,
    ),
    ...(stability.length === 0
      ? []
      : [
          card(
            (stability.reduce((sum, other) => sum + headlineMatch(other).mean, 0) / stability.length).toFixed(
              2,
            ),
            `cosine to the matched concept of ${stability.length === 1 ? 'another run' : `${stability.length} other runs`} (chance ${headlineMatch(stability[0]).random.mean.toFixed(2)})`,
          ),
        ]),
  ].join('')}</ul>`;
}

/** Few enough bars that their heights mean something. */
const BINS = 32;
const MOST_DOTS = 2500;

function decisions(e: SaeEvaluation): string {
  const { coverage, conceptsTo80Images, conceptsTo80Quantiles } = e.contributions;
  const figures: string[] = [];
  if (coverage.mean.length > 1) {
    const points = coverage.mean.map((mean, n) => [n + 1, mean] as const);
    const band = coverage.mean.map((mean, n) => {
      const d = coverage.deviation?.[n] ?? 0;
      return [mean - d, mean + d] as const;
    });
    figures.push(
      figure(
        'How few concepts carry a decision',
        linePlot({
          title: 'Coverage curve',
          x: {
            label: 'concepts, those that contribute most first (number)',
            from: 1,
            to: points.length,
            isLog: true,
          },
          y: { label: 'of the positive contribution (%)', from: 0, to: 100 },
          lines: [{ name: 'mean', points, band }],
          marks: [
            {
              at: e.contributions.conceptsTo80 ?? 0,
              text: `80 % after ${orNone(e.contributions.conceptsTo80, amount)}`,
            },
          ],
        }),
        'Each image’s concepts, sorted by how much they speak for its answer, are added up; the line is the mean over images, the band one standard deviation. The faster it rises, the shorter an explanation can be.',
      ),
    );
  }
  if (conceptsTo80Quantiles !== null) {
    const longest = conceptsTo80Images.length - 1;
    const width = Math.max(1, Math.ceil(longest / BINS));
    const bins = Math.ceil(longest / width);
    const counts = Array.from({ length: bins }, (_, b) =>
      conceptsTo80Images.slice(1 + b * width, 1 + (b + 1) * width).reduce((sum, n) => sum + n, 0),
    );
    figures.push(
      figure(
        'Concepts to 80 % of the evidence, image by image',
        barPlot({
          title: 'Histogram of the concepts needed for 80 percent',
          x: { label: 'concepts that an image needs (number)' },
          yLabel: 'images (number)',
          histogram: { edges: Array.from({ length: bins + 1 }, (_, b) => 0.5 + b * width), counts },
          marks: [
            { at: conceptsTo80Quantiles.median, text: `median ${amount(conceptsTo80Quantiles.median)}` },
          ],
        }),
        'How many of the strongest concepts must be named until four fifths of what speaks for the answer are told. Images on the right have answers that are put together from many small parts.',
      ),
    );
  }
  return figures.join('');
}

function densities(e: SaeEvaluation): string {
  const { edges, counts } = e.activity.log10Density;
  return figure(
    'How often a concept is active',
    barPlot({
      title: 'Density histogram',
      x: { label: 'share of all positions (logarithmic)', isLog: true, format: shareText },
      yLabel: 'concepts (number)',
      histogram: { edges: edges.map((edge) => 10 ** edge), counts },
      marks: [{ at: TOO_ACTIVE, text: 'too active' }],
    }),
    `Left: rare, specific concepts. Right: concepts that are active nearly everywhere and so tell little (${whole(e.activity.tooActive.length)} at 60 % of the positions or more). ${e.activity.dead === 0 ? 'No concept is dead' : `${whole(e.activity.dead)} ${e.activity.dead === 1 ? 'concept is' : 'concepts are'} never active (dead) and not drawn`}.`,
  );
}

/** At least 2, so that a logarithmic axis has a length. */
function mostClasses(e: SaeEvaluation): number {
  return Math.max(2, e.data.classes);
}

function classesServed(e: SaeEvaluation): string {
  const effective = e.concepts.effectiveClasses.filter((value) => value !== null);
  if (effective.length === 0) return '';
  const median = e.labels.effectiveClassesQuantiles?.median ?? 1;
  return figure(
    'How many classes a concept serves',
    barPlot({
      title: 'Histogram of effective classes',
      x: { label: 'effective number of classes (logarithmic)', isLog: true },
      yLabel: 'concepts (number)',
      histogram: logHistogram(effective, 1, mostClasses(e), BINS),
      marks: [{ at: median, text: `median ${amount(median)}` }],
    }),
    `1: a concept is present in images of one class only. ${whole(e.data.classes)}: it is as present in every class. It is exp of the entropy of how a concept’s presence spreads over the labels.`,
  );
}

function useAndClasses(e: SaeEvaluation): string {
  const positions = e.data.images * e.data.positions;
  const all = e.concepts.effectiveClasses.flatMap((classes, c) =>
    classes === null ? [] : [[e.concepts.activePositions[c] / positions, classes] as const],
  );
  if (all.length < 2) return '';
  const step = Math.max(1, all.length / MOST_DOTS);
  const dots = Array.from({ length: Math.floor(all.length / step) }, (_, i) => all[Math.floor(i * step)]);
  return figure(
    'How often, and for how many classes',
    dotPlot({
      title: 'Concepts by how often they are active and how many classes they serve',
      x: {
        label: 'share of all positions (logarithmic)',
        isLog: true,
        from: 10 ** e.activity.log10Density.edges[0],
        to: 1,
        format: shareText,
      },
      y: { label: 'effective classes (logarithmic)', isLog: true, from: 1, to: mostClasses(e) },
      dots,
    }),
    `One dot a concept${dots.length < all.length ? ` (${whole(dots.length)} of ${whole(all.length)})` : ''}. Low: concepts of one or few classes; low and to the right are those worth looking at first: specific and often used. Of very rare concepts the number of classes is a rough count of few images.`,
  );
}

function sizes(e: SaeEvaluation): string {
  const found = e.concepts.meanPositions.filter((value) => value !== null);
  if (found.length === 0 || e.data.positions < 2) return '';
  const percents = found.map((size) => (100 * size) / e.data.positions);
  const { pixels, positions } = e.spatial;
  return figure(
    'How large a concept is in the image',
    barPlot({
      title: 'Histogram of spatial size',
      x: { label: 'of the positions of the layer (%)' },
      yLabel: 'concepts (number)',
      histogram: histogram(percents, 0, Math.min(100, 10 * Math.ceil(Math.max(...percents) / 10)), BINS),
      marks: [
        {
          at: positions.meanPercent ?? 0,
          text: `mean ${orNone(positions.meanPercent, (v) => percent(v, 1))}`,
        },
      ],
    }),
    `The fewest of the ${whole(e.data.positions)} positions that hold 80 % of a concept’s activation in an image, mean over the images in which it is present.${
      pixels === null
        ? ''
        : ` A position sees many pixels: counted in those that contribute to it, ${percent(pixels.meanPercent, 1)} of the image (sample of ${whole(pixels.images)} images).`
    }`,
  );
}

function shareText(share: number): string {
  const value = 100 * share;
  return `${value >= 0.0009 ? Number(value.toPrecision(1)) : value.toExponential(0)} %`;
}

function row(name: string, value: string, meaning: string): string {
  return `<tr><td>${escapeHtml(name)}</td><td class="n">${escapeHtml(value)}</td><td>${escapeHtml(meaning)}</td></tr>`;
}

function table(e: SaeEvaluation): string {
  const { accuracy: a, reconstruction: r, sparsity: s, contributions: c } = e;
  return `<div class="wide"><table><thead><tr><th>number</th><th class="n">value</th><th>meaning</th></tr></thead><tbody>${[
    row(
      'top-1, alone → spliced',
      `${percent(a.top1Percent)} → ${percent(a.splicedTop1Percent)}`,
      'right answers of the network as it is, and with its features replaced by what the concepts make of them',
    ),
    row(
      'top-5, alone → spliced',
      `${percent(a.top5Percent)} → ${percent(a.splicedTop5Percent)}`,
      'the right class is among the five highest',
    ),
    row(
      'L2 error',
      `${amount(r.l2ErrorMean)}${r.l2ErrorDeviation === null ? '' : ` ± ${amount(r.l2ErrorDeviation)}`}`,
      `length of what the reconstruction misses at a position; the features are ${amount(r.featureLengthMean)} long on average`,
    ),
    row(
      'relative error',
      orNone(r.relativeErrorMean, (v) => percent(100 * v, 1)),
      'the same as a part of each position’s length, mean',
    ),
    row(
      'concepts a position (L0)',
      amount(s.l0.mean),
      `active at one position of the layer; at most ${whole(e.autoencoder.k)} are looked for`,
    ),
    row(
      'concepts an image',
      `${amount(s.imageL0.mean)}${s.imageL0.deviation === null ? '' : ` ± ${amount(s.imageL0.deviation)}`}`,
      'different concepts anywhere in an image',
    ),
    row(
      'contributing concepts',
      `${whole(c.alive)} (${percent(c.alivePercent, 1)})`,
      'add something to the answer of at least one image',
    ),
    row(
      'always alive',
      whole(c.alwaysAlive.length),
      `contribute in more than 85 % of the images, together ${percent(c.alwaysAliveSharePercent, 1)} of what speaks for the answers`,
    ),
    row(
      'images without positive contribution',
      whole(c.imagesWithoutPositive),
      'left out of the coverage curve and of the numbers to 80 %',
    ),
    row(
      'to 80 % as the reference counts',
      amount(c.conceptsTo80AllImages),
      'such images count as needing one concept',
    ),
    row(
      'label entropy',
      orNone(e.labels.entropyMean, (v) => `${v.toFixed(3)} nats`),
      `mean over concepts; ${e.labels.largestEntropy.toFixed(3)} would be no preference for any class`,
    ),
  ].join('')}</tbody></table></div>`;
}

/** The page. */
export function evaluationPage(e: SaeEvaluation): string {
  const { autoencoder, data, model } = e;
  const broken = data.broken.map(
    ({ name, message }) => `<li>${escapeHtml(name)}: ${escapeHtml(message)}</li>`,
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>How good are these concepts?</title><style>${STYLE}</style></head>
<body><header><h1>How good are these concepts?</h1>
<p class="quiet">${escapeHtml(`${whole(autoencoder.latents)} concepts at ${autoencoder.tap} of ${model.arch} (${whole(autoencoder.channels)} channels, ${whole(data.positions)} positions, at most ${autoencoder.k} concepts a position), measured on ${whole(data.images)} images of ${whole(data.classes)} classes${data.broken.length > 0 ? `; ${whole(data.broken.length)} could not be read` : ''}.`)}</p></header>
<main>${cards(e)}
<h2>Decisions</h2><div class="figures">${decisions(e)}</div>
<h2>Concepts</h2><div class="figures">${densities(e)}${classesServed(e)}${useAndClasses(e)}${sizes(e)}</div>
${stabilityFigures(e)}
<h2>All numbers</h2>${table(e)}
${broken.length === 0 ? '' : `<h2>Skipped</h2><ul>${broken.slice(0, 100).join('')}</ul>`}</main>
<footer><p class="quiet">${escapeHtml(`Autoencoder ${autoencoder.path}, network ${model.path}, data ${data.path}${data.split === null ? '' : ` (${data.split})`}; fact-tfjs ${e.packageVersion}, engine ${e.engine}. evaluation.json beside this page holds every number, concept by concept.`)}</p></footer></body></html>
`;
}
