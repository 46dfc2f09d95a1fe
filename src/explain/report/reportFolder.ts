import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { recoverFolder, replaceFolder, writeError, writeFileAtomic } from '../../core/atomicFile.js';
import { lockFolder } from '../../core/folderLock.js';
import { Journal } from '../../core/journal.js';
import { namesIn, outExists } from '../../core/outFolder.js';
import type { Preprocessing } from '../../models/spec.js';
import type { Explanation } from '../explanation.js';
import { worstLedger } from '../ledger.js';
import { drawExplanation } from '../picture/picture.js';
import { pngUrl } from '../picture/png.js';
import { type FileRecord, keptRecords } from '../session/explainFiles.js';
import { explanationArticle, reportPage } from './page.js';
import { makeReport, type ReportContext, reportImage, type SkippedImage } from './report.js';
import type { Report, ReportImage } from './reportSchema.js';

export const REPORT_FILE = 'report.json';
const PAGE_FILE = 'index.html';
const PICTURE_FOLDER = 'pictures';
/** What only an unfinished report has: its results line by line, and the articles of its page. */
const JOURNAL_FILE = 'images.jsonl';
const ARTICLE_FOLDER = 'articles';
const PARTIAL_ENDING = '.partial';

/** Images whose maps the report holds, and that the page shows; the others have their picture and their numbers. */
const DETAILED = 100;

/** One image of a report in the making. */
export interface ReportEntry {
  readonly image: ReportImage;
  /** File of its part of the page, below the folder; null where it has none. */
  readonly article: string | null;
  /** Largest relative error of its sums. */
  readonly worst: number;
  /** What is said of it on the command line. */
  readonly line: string;
}

function isReport(folder: string): boolean {
  try {
    return JSON.parse(readFileSync(join(folder, REPORT_FILE), 'utf8')).format === 'fact-report';
  } catch {
    // Unreadable or not JSON: not one of ours, so not ours to replace.
    return false;
  }
}

/**
 * A report replaces an earlier report or an empty folder, never anything else. Undoes a replacement that a killed
 * process left half-way. Throws FactError E_OUT_EXISTS.
 */
export function checkOutput(folder: string): void {
  recoverFolder(folder);
  if (!existsSync(folder)) return;
  const names = namesIn(folder);
  if (names !== null && (names.length === 0 || isReport(folder))) return;
  throw outExists(folder, 'a report of this program');
}

/** "003-tench.png": position and name, of letters that every file system takes. */
function fileName(path: string, place: number, ending: string): string {
  const stem = basename(path, extname(path))
    .normalize('NFKD')
    .replace(/[^\w.-]+/g, '-')
    .slice(0, 60);
  return `${String(place + 1).padStart(3, '0')}-${stem === '' ? 'image' : stem}${ending}`;
}

/**
 * A report in the making, in the folder `<target>.partial`: pictures and a journal grow image by image, so that what a
 * stopped or killed process leaves is valid, and the same command goes on from there. `finish` gives it the target's
 * name; until then an earlier report stays.
 */
export class ReportFolder {
  /** Where it grows. */
  readonly partial: string;
  readonly journal: Journal<FileRecord<ReportEntry>>;
  /** What an earlier run left. */
  readonly done: readonly FileRecord<ReportEntry>[];
  private readonly unlock: () => void;

  /**
   * @param target folder of the finished report @param settings what else the results depend on, plain JSON
   * @param size pictures a call
   * Throws FactError E_OUT_EXISTS, E_RUN_LOCKED, E_WRITE.
   */
  constructor(
    private readonly target: string,
    private readonly context: ReportContext,
    private readonly preprocessing: Preprocessing,
    settings: unknown,
    size: number,
  ) {
    this.partial = `${target}${PARTIAL_ENDING}`;
    const header = { format: 'fact-report-journal', version: 1, context, preprocessing, settings };
    this.journal = Journal.of(join(this.partial, JOURNAL_FILE), header);
    this.unlock = lockFolder(target, `${target}.lock`);
    try {
      checkOutput(target);
      const state = this.journal.state();
      if (state.kind !== 'same') this.clear(state.kind === 'foreign');
      this.done =
        state.kind === 'same' ? state.records.slice(0, keptRecords(state.records.length, size)) : [];
      this.journal.open(state.kind === 'same' ? this.done.length : null);
    } catch (error) {
      this.unlock();
      throw error;
    }
  }

  /** A new start: what an unfinished report of other settings left is removed, anything else refused. */
  private clear(hasJournal: boolean): void {
    if (!existsSync(this.partial)) return;
    if (!hasJournal && readdirSync(this.partial).length > 0) {
      throw outExists(this.partial, 'an unfinished report of this program');
    }
    try {
      rmSync(this.partial, { recursive: true, force: true });
    } catch (error) {
      throw writeError(this.partial, error);
    }
  }

  /** Draws an image and writes its files. `place`: its number among all images. Throws FactError E_WRITE. */
  async draw(e: Explanation, place: number, line: string): Promise<ReportEntry> {
    const isDetailed = place < DETAILED;
    const picture = `${PICTURE_FOLDER}/${fileName(e.image.name, place, '.png')}`;
    const article = isDetailed ? `${ARTICLE_FOLDER}/${fileName(e.image.name, place, '.html')}` : null;
    const [png, html] = await Promise.all([
      drawExplanation(e, this.preprocessing),
      article === null ? null : explanationArticle(e, this.preprocessing, pngUrl),
    ]);
    writeFileAtomic(join(this.partial, picture), png);
    if (article !== null && html !== null) writeFileAtomic(join(this.partial, article), html);
    return {
      image: reportImage(e, picture, isDetailed),
      article,
      worst: worstLedger(e.ledgers)?.relativeError ?? 0,
      line,
    };
  }

  /** Writes report.json and index.html of what there is; the folder stays unfinished. Throws FactError E_WRITE. */
  write(entries: readonly ReportEntry[], skipped: readonly SkippedImage[]): Report {
    const images = entries.map(({ image }) => image);
    const worst = entries.reduce((largest, entry) => Math.max(largest, entry.worst), 0);
    const report = makeReport(this.context, images, skipped, worst);
    const articles = entries.flatMap(({ article }) =>
      article === null ? [] : [readFileSync(join(this.partial, article), 'utf8')],
    );
    writeFileAtomic(join(this.partial, REPORT_FILE), `${JSON.stringify(report, null, 1)}\n`);
    writeFileAtomic(
      join(this.partial, PAGE_FILE),
      reportPage(this.context, articles, skipped, images.length),
    );
    return report;
  }

  /** Writes the whole report and gives it its name. Throws FactError E_WRITE. */
  finish(entries: readonly ReportEntry[], skipped: readonly SkippedImage[]): Report {
    const report = this.write(entries, skipped);
    this.journal.close();
    const pictures = new Set(entries.map(({ image }) => image.picture));
    const folder = join(this.partial, PICTURE_FOLDER);
    mkdirSync(folder, { recursive: true });
    for (const name of readdirSync(folder))
      if (!pictures.has(`${PICTURE_FOLDER}/${name}`)) rmSync(join(folder, name), { force: true });
    replaceFolder(this.partial, this.target);
    for (const name of [JOURNAL_FILE, ARTICLE_FOLDER])
      rmSync(join(this.target, name), { recursive: true, force: true });
    return report;
  }

  /** Ends without finishing; what was written stays for the next run, an empty folder does not. */
  close(): void {
    this.journal.close();
    const isEmpty = !existsSync(join(this.partial, PICTURE_FOLDER));
    if (isEmpty) rmSync(this.partial, { recursive: true, force: true });
    this.unlock();
  }
}
