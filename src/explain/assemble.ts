import { argMax } from '../core/argMax.js';
import type {
  ClassScore,
  ConceptShare,
  ExplainImage,
  Explanation,
  PixelMap,
  Target,
  Trace,
} from './explanation.js';
import { formLedger, type Ledger, type LedgerLine, sumTerms } from './ledger.js';

/** Earlier concepts listed for each shown concept. */
const TRACE_COUNT = 3;

/** Numbers of one image as the programs gave them. */
export interface ImageNumbers {
  readonly scores: Float32Array;
  /** [height, width, channels] */
  readonly gradient: Float32Array;
  /** [height, width] */
  readonly map: Float32Array;
  readonly lowerTerms: Float32Array;
  readonly concepts: ConceptNumbers | null;
}

export interface ConceptNumbers {
  /** [K] each */
  readonly contributions: Float32Array;
  readonly presence: Float32Array;
  /** Per position. */
  readonly errors: Float32Array;
  readonly lengths: Float32Array;
  readonly upperTerms: Float32Array;
  /** Contributions to the second class of a difference: [K]. */
  readonly versus: Float32Array | null;
  /** Concepts shown, largest |contribution| first: [J]. */
  readonly shown: readonly number[];
  /** [J, height, width] and [J, constants] */
  readonly maps: Float32Array;
  readonly mapTerms: Float32Array;
  /** [J, early K], and the late presences [K] with both autoencoders in the network. */
  readonly traces: Float32Array | null;
  readonly latePresence: Float32Array | null;
  /** Positions whose code is full under a threshold; null where there is none. */
  readonly fullPositions: number | null;
}

export interface AssembleInput {
  readonly image: ExplainImage;
  readonly scores: { readonly alone: Float32Array; readonly spliced: Float32Array };
  readonly target: {
    readonly for: number;
    readonly versus: number | null;
    readonly reason: Target['reason'];
  };
  readonly numbers: ImageNumbers;
  readonly classScore: (scores: ArrayLike<number>, index: number) => ClassScore;
  readonly ranking: readonly ClassScore[];
  readonly tap: string | null;
  readonly earlyTap: string | null;
  readonly logitBias: number;
  readonly tolerance: number;
  readonly lowerConstants: readonly string[];
  readonly upperConstants: readonly string[];
}

function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}

function row(values: Float32Array, index: number, count: number): Float32Array {
  const length = values.length / count;
  return values.slice(index * length, (index + 1) * length);
}

function constantLines(names: readonly string[], terms: Float32Array): LedgerLine[] {
  return names.map((name, i) => ({ name: `constant of ${name}`, value: terms[i] }));
}

function topTraces(values: Float32Array): Trace[] {
  const { absolute } = sumTerms(values);
  return Array.from(values, (contribution, concept) => ({
    concept,
    contribution,
    share: ratio(contribution, absolute),
  }))
    .filter((trace) => trace.contribution !== 0)
    .sort((a, b) => Math.abs(b.contribution) - Math.abs(a.contribution) || a.concept - b.concept)
    .slice(0, TRACE_COUNT);
}

/** Concept entries that have any weight, with their ledgers on the pixel side. */
function conceptEntries(
  input: AssembleInput,
  c: ConceptNumbers,
  sums: { positive: number; absolute: number },
): { concepts: ConceptShare[]; ledgers: Ledger[] } {
  const { height, width } = input.image;
  const concepts: ConceptShare[] = [];
  const ledgers: Ledger[] = [];
  c.shown.forEach((concept, j) => {
    const contribution = c.contributions[concept];
    const presence = c.presence[concept];
    if (presence === 0 && contribution === 0) return;
    const values = row(c.maps, j, c.shown.length);
    const map: PixelMap = { height, width, values };
    const versus = c.versus === null ? null : c.versus[concept];
    const trace = c.traces === null ? null : row(c.traces, j, c.shown.length);
    concepts.push({
      concept,
      presence,
      contribution,
      share: ratio(contribution, sums.absolute),
      positiveShare: ratio(Math.max(0, contribution), sums.positive),
      contributionFor: versus === null ? null : contribution + versus,
      contributionVersus: versus,
      map,
      madeOf: trace === null ? [] : topTraces(trace),
    });
    ledgers.push(
      formLedger({
        side: 'pixels',
        subject: `presence of concept ${concept}`,
        left: presence,
        terms: values,
        termsName: 'pixels',
        constants: constantLines(input.lowerConstants, row(c.mapTerms, j, c.shown.length)),
        tolerance: input.tolerance,
      }),
    );
    if (trace !== null && c.latePresence !== null) {
      ledgers.push(
        formLedger({
          side: 'concepts',
          subject: `presence of concept ${concept} from ${input.earlyTap}`,
          left: c.latePresence[concept],
          terms: trace,
          termsName: `concepts at ${input.earlyTap}`,
          tolerance: input.tolerance,
        }),
      );
    }
  });
  return { concepts, ledgers };
}

/** Makes the plain object of an explanation, ledgers included, from the numbers of the programs. */
export function assembleExplanation(input: AssembleInput): Explanation {
  const { image, numbers, target, scores, tolerance } = input;
  const classes = {
    for: input.classScore(scores.spliced, target.for),
    versus: target.versus === null ? null : input.classScore(scores.spliced, target.versus),
  };
  const score = numbers.scores[target.for] - (target.versus === null ? 0 : numbers.scores[target.versus]);
  const subject =
    classes.versus === null
      ? `logit of ${classes.for.name}, before its bias`
      : `logit of ${classes.for.name} less that of ${classes.versus.name}`;
  const c = numbers.concepts;
  const upper = c === null ? [] : constantLines(input.upperConstants, c.upperTerms);
  const ledgers: Ledger[] = [];
  let positive = 0;
  let negative = 0;
  if (c !== null) {
    for (const v of c.contributions) {
      if (v > 0) positive += v;
      else negative += v;
    }
    ledgers.push(
      formLedger({
        side: 'logit',
        subject,
        left: score,
        terms: c.contributions,
        termsName: 'concepts',
        constants: upper,
        tolerance,
      }),
    );
  }
  ledgers.push(
    formLedger({
      side: 'pixels',
      subject,
      left: score,
      terms: numbers.map,
      termsName: 'pixels',
      constants: [...constantLines(input.lowerConstants, numbers.lowerTerms), ...upper],
      tolerance,
    }),
  );
  const absolute = positive - negative;
  const entries = c === null ? null : conceptEntries(input, c, { positive, absolute });
  ledgers.push(...(entries?.ledgers ?? []));
  const shown = entries?.concepts ?? [];
  const listed = shown.reduce((sum, entry) => sum + entry.contribution, 0);
  const total = positive + negative;
  const active =
    c === null ? 0 : c.contributions.reduce((n, v, i) => n + (v !== 0 || c.presence[i] !== 0 ? 1 : 0), 0);
  const squares = (values: Float32Array): number => values.reduce((sum, v) => sum + v * v, 0);
  return {
    image,
    predicted: input.classScore(scores.spliced, argMax(scores.spliced)),
    predictedAlone: input.classScore(scores.alone, argMax(scores.alone)),
    trueClass: image.trueClass === null ? null : input.classScore(scores.spliced, image.trueClass),
    ranking: input.ranking,
    logits: scores.spliced.map((v) => v + input.logitBias),
    target: {
      ...classes,
      score,
      bias: target.versus === null ? input.logitBias : 0,
      reason: target.reason,
    },
    tap: input.tap,
    concepts: shown,
    others: {
      count: active - shown.length,
      contribution: total - listed,
      share: ratio(total - listed, absolute),
    },
    positiveSum: positive,
    negativeSum: negative,
    map: { height: image.height, width: image.width, values: numbers.map },
    gradient: numbers.gradient,
    fullPositions: c?.fullPositions ?? null,
    featuresKept: c === null ? null : 1 - ratio(squares(c.errors), squares(c.lengths)),
    ledgers,
  };
}
