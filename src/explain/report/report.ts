/*
 * The JSON report: every number of the explanations, nothing drawn, no time stamps (the same command twice gives the
 * same bytes). Its shape is documented in docs/report-schema.md and checked by reportSchema.ts.
 */
import type { ClassScore, ConceptShare, Explanation, PixelMap } from '../explanation.js';
import type { Ledger } from '../ledger.js';
import type {
  Report,
  ReportClass,
  ReportConcept,
  ReportImage,
  ReportLedger,
  ReportMap,
} from './reportSchema.js';
import { SHARE_NOTE } from './words.js';

export const REPORT_VERSION = 1;

const POSITIVE_NOTE = 'positiveShare: max(contribution, 0) / sum of the positive contributions of the image';

/** What a report says besides the explanations. */
export interface ReportContext {
  readonly command: 'explain' | 'verify';
  readonly packageVersion: string;
  readonly engine: string;
  readonly model: {
    readonly path: string;
    readonly arch: string;
    readonly weightsHash: string | null;
    readonly classes: number;
  };
  readonly autoencoders: readonly {
    readonly path: string;
    readonly tap: string;
    readonly latents: number;
    readonly k: number;
    readonly role: 'concepts' | 'traces';
  }[];
  readonly top: number;
  readonly tolerance: number;
}

/** A picture that could not be read. */
export interface SkippedImage {
  readonly name: string;
  readonly code: string;
  readonly message: string;
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

function reportClass({ index, name, logit, probability }: ClassScore): ReportClass {
  return { index, name, logit, probability };
}

/** Little-endian float32 values in base64. */
function reportMap(map: PixelMap): ReportMap {
  const bytes = new DataView(new ArrayBuffer(map.values.length * 4));
  map.values.forEach((v, i) => {
    bytes.setFloat32(i * 4, v, true);
  });
  return {
    height: map.height,
    width: map.width,
    dtype: 'float32',
    base64: Buffer.from(bytes.buffer).toString('base64'),
  };
}

function reportConcept(c: ConceptShare, isWithMaps: boolean): ReportConcept {
  return {
    concept: c.concept,
    presence: c.presence,
    contribution: c.contribution,
    share: c.share,
    positiveShare: c.positiveShare,
    contributionFor: c.contributionFor,
    contributionVersus: c.contributionVersus,
    map: c.map === null || !isWithMaps ? null : reportMap(c.map),
    madeOf: c.madeOf.map((trace) => ({ ...trace })),
  };
}

/** A ledger as JSON; a number that is not finite becomes null. */
export function reportLedger(ledger: Ledger): ReportLedger {
  return {
    side: ledger.side,
    subject: ledger.subject,
    left: finite(ledger.left),
    lines: ledger.lines.map((line) => ({ name: line.name, value: finite(line.value) })),
    termCount: ledger.termCount,
    sum: finite(ledger.sum),
    absoluteSum: finite(ledger.absoluteSum),
    residual: finite(ledger.residual),
    relativeError: finite(ledger.relativeError),
    holds: ledger.holds,
  };
}

/** One image of a report. `picture`: file name beside report.json, or null; maps are left out where not wanted. */
export function reportImage(e: Explanation, picture: string | null, isWithMaps: boolean): ReportImage {
  return {
    name: e.image.name,
    picture,
    size: { height: e.image.height, width: e.image.width },
    predicted: reportClass(e.predicted),
    predictedAlone: reportClass(e.predictedAlone),
    trueClass: e.trueClass === null ? null : reportClass(e.trueClass),
    ranking: e.ranking.map(reportClass),
    target: {
      for: reportClass(e.target.for),
      versus: e.target.versus === null ? null : reportClass(e.target.versus),
      score: e.target.score,
      bias: e.target.bias,
      reason: e.target.reason,
    },
    tap: e.tap,
    concepts: e.concepts.map((c) => reportConcept(c, isWithMaps)),
    others: { ...e.others },
    positiveSum: e.positiveSum,
    negativeSum: e.negativeSum,
    featuresKept: e.featuresKept,
    fullPositions: e.fullPositions,
    map: isWithMaps ? reportMap(e.map) : null,
    ledgers: e.ledgers.map(reportLedger),
    holds: e.ledgers.every((ledger) => ledger.holds),
  };
}

/** The whole report. */
export function makeReport(
  context: ReportContext,
  images: readonly ReportImage[],
  skipped: readonly SkippedImage[],
  worst: number,
): Report {
  return {
    format: 'fact-report',
    version: REPORT_VERSION,
    command: context.command,
    packageVersion: context.packageVersion,
    engine: context.engine,
    model: { ...context.model },
    autoencoders: context.autoencoders.map((sae) => ({ ...sae })),
    settings: { top: context.top, tolerance: context.tolerance },
    notes: { share: SHARE_NOTE, positiveShare: POSITIVE_NOTE },
    summary: {
      images: images.length,
      skipped: skipped.length,
      ledgers: images.reduce((sum, image) => sum + image.ledgers.length, 0),
      failed: images.reduce((sum, image) => sum + image.ledgers.filter((ledger) => !ledger.holds).length, 0),
      worstRelativeError: finite(worst),
    },
    images: [...images],
    skipped: skipped.map((one) => ({ ...one })),
  };
}
