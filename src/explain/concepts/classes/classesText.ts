/** The report of classes as lines of text, for the command line. */
import { amount, percent, signed, signedPercent } from '../../report/words.js';
import { countOf, part } from '../gallery/galleryWords.js';
import type { ClassEntry, ClassesReport, SharedConcept } from './classesReport.js';

/** Shared concepts listed where no class or concept is asked for. */
const SHARED_LINES = 20;
/** Classes named a concept. */
const CLASSES_A_LINE = 12;

function classLines(entry: ClassEntry): string[] {
  const right = entry.correct === null ? '' : `, ${entry.correct} right`;
  const rows = entry.concepts.map(({ concept, meanContribution, share, images, sharedWith }) => {
    const others = sharedWith.length === 0 ? '' : `  also ${sharedWith.map(({ name }) => name).join(', ')}`;
    return `  concept ${String(concept).padStart(5)} ${signed(meanContribution).padStart(7)} ${signedPercent(share).padStart(8)}  in ${images} of ${entry.images}${others}`;
  });
  const constants =
    entry.meanOfConstants === 0 ? [] : [`  constants     ${signed(entry.meanOfConstants).padStart(7)}`];
  const verdict = entry.holds ? 'holds' : 'DOES NOT HOLD';
  return [
    `${entry.class.name}: ${countOf(entry.images, 'answer')}${right}, mean score ${amount(entry.meanScore)} before the bias of ${signed(entry.logitBias)}`,
    ...rows,
    `  ${countOf(entry.others.count, 'other').padEnd(13)} ${signed(entry.others.meanContribution).padStart(7)}`,
    ...constants,
    `  residual      ${entry.residual.toExponential(1)}, relative ${entry.relativeError.toExponential(1)}: ${verdict}`,
  ];
}

function sharedLine({ concept, classes, effectiveClasses, positiveShare }: SharedConcept): string {
  const names = classes.slice(0, CLASSES_A_LINE).map((one) => `${one.class.name} ${percent(one.share)}`);
  const rest = classes.length - names.length;
  return `concept ${concept}: ${names.join(', ')}${rest > 0 ? ` and ${rest} more` : ''} (spread over about ${effectiveClasses.toFixed(1)} classes; ${part(positiveShare)} of all evidence)`;
}

/** Text of a report, for what was asked. */
export function classesText(
  report: ClassesReport,
  asked: { readonly onlyClass: number | null; readonly onlyConcept: number | null },
): string[] {
  const { classes, concepts } = report;
  if (asked.onlyConcept !== null)
    return concepts.length === 0
      ? [`concept ${asked.onlyConcept} speaks for no answer in ${countOf(report.images, 'image')}`]
      : concepts.map(sharedLine);
  if (asked.onlyClass !== null && classes.length === 0)
    return [`no image of ${countOf(report.images, 'image')} was answered with this class`];
  const lines = classes.flatMap(classLines);
  if (asked.onlyClass !== null) return lines;
  const shared = concepts.filter((one) => one.classes.length > 1).slice(0, SHARED_LINES);
  return [...lines, '', 'Concepts that several classes share:', ...shared.map(sharedLine)];
}
