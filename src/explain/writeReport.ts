import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { writeFileAtomic, writeFolderAtomic } from '../core/atomicFile.js';
import { FactError } from '../core/errors.js';
import type { Preprocessing } from '../models/spec.js';
import type { Explanation } from './explanation.js';
import { worstLedger } from './ledger.js';
import { explanationArticle, reportPage } from './page.js';
import { drawExplanation } from './picture.js';
import { pngUrl } from './png.js';
import { makeReport, type ReportContext, reportImage, type SkippedImage } from './report.js';
import type { Report, ReportImage } from './reportSchema.js';

export const REPORT_FILE = 'report.json';
const PAGE_FILE = 'index.html';
const PICTURE_FOLDER = 'pictures';

/** Images whose maps the report holds, and that the page shows; the others have their picture and their numbers. */
const DETAILED = 100;

function isReport(path: string): boolean {
  try {
    return JSON.parse(readFileSync(path, 'utf8')).format === 'fact-report';
  } catch {
    // Unreadable or not JSON: not one of ours, so not ours to replace.
    return false;
  }
}

/**
 * A report replaces an earlier report or an empty folder, never anything else.
 * Throws FactError E_OUT_EXISTS.
 */
export function checkOutput(folder: string): void {
  if (!existsSync(folder)) return;
  let names: string[] | null = null;
  try {
    names = readdirSync(folder);
  } catch {
    // A file, or a folder that may not be read: refused below like any other thing in the way.
  }
  if (names !== null && (names.length === 0 || isReport(join(folder, REPORT_FILE)))) return;
  throw new FactError({
    code: 'E_OUT_EXISTS',
    message: `${folder} exists and is not a report of this program`,
    remedy: 'Choose another folder with --out, or remove it.',
    exitCode: 2,
  });
}

/** "003-tench.png": position and name, of letters that every file system takes. */
function pictureName(path: string, index: number): string {
  const stem = basename(path, extname(path))
    .normalize('NFKD')
    .replace(/[^\w.-]+/g, '-')
    .slice(0, 60);
  return `${String(index + 1).padStart(3, '0')}-${stem === '' ? 'image' : stem}.png`;
}

/**
 * Writes report.json, index.html and a picture an image as one folder, all or nothing, from explanations as they come.
 * `skipped` is read at the end. Throws FactError E_OUT_EXISTS, E_WRITE and what `explanations` throws.
 */
export async function writeReport(
  folder: string,
  context: ReportContext,
  preprocessing: Preprocessing,
  explanations: AsyncIterable<Explanation>,
  skipped: readonly SkippedImage[],
  onImage: (explanation: Explanation, done: number) => void = () => {},
): Promise<Report> {
  checkOutput(folder);
  const images: ReportImage[] = [];
  const articles: string[] = [];
  let worst = 0;
  let report: Report | null = null;
  await writeFolderAtomic(folder, async (temporary) => {
    for await (const e of explanations) {
      const isDetailed = images.length < DETAILED;
      const picture = `${PICTURE_FOLDER}/${pictureName(e.image.name, images.length)}`;
      writeFileAtomic(join(temporary, picture), await drawExplanation(e, preprocessing));
      if (isDetailed) articles.push(await explanationArticle(e, preprocessing, pngUrl));
      images.push(reportImage(e, picture, isDetailed));
      worst = Math.max(worst, worstLedger(e.ledgers)?.relativeError ?? 0);
      onImage(e, images.length);
    }
    report = makeReport(context, images, skipped, worst);
    writeFileAtomic(join(temporary, REPORT_FILE), `${JSON.stringify(report, null, 1)}\n`);
    writeFileAtomic(join(temporary, PAGE_FILE), reportPage(context, articles, skipped, images.length));
  });
  if (report === null) throw new Error('no report was made');
  return report;
}
