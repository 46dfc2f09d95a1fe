import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { recoverFolder, replaceFolder, writeError, writeFileAtomic } from '../../../core/atomicFile.js';
import { FactError, messageOf } from '../../../core/errors.js';
import { Journal } from '../../../core/journal.js';
import { namesIn, outExists } from '../../../core/outFolder.js';
import { classesPage } from '../classes/classesPage.js';
import type { ClassesReport } from '../classes/classesReport.js';
import { cardFile, cardPage, picturesOf } from './cardPage.js';
import { galleryPage } from './galleryPage.js';
import { type CardImage, type Gallery, gallerySchema } from './gallerySchema.js';

export const GALLERY_FILE = 'concepts.json';
/** The totals of the pass: what a later command can start from. */
export const TOTALS_FILE = 'totals.safetensors';
const PAGE_FILE = 'index.html';
const CLASSES_FILE = 'classes.html';
/** What only an unfinished gallery has. */
const JOURNAL_FILE = 'cards.jsonl';
const PARTIAL_ENDING = '.partial';
const MADE = [
  'thumbnails',
  'cutouts',
  'colours',
  'photos',
  'cards',
  JOURNAL_FILE,
  GALLERY_FILE,
  PAGE_FILE,
  CLASSES_FILE,
];

/** A concept that is drawn: the images of its card, or the small picture of one without a card. A line of the journal. */
export type DrawnConcept =
  | { readonly kind: 'card'; readonly concept: number; readonly shown: readonly CardImage[] }
  | { readonly kind: 'thumbnail'; readonly concept: number; readonly cutOut: string | null };

/** The concepts.json of a finished gallery. Throws FactError E_CONCEPTS_FROM where there is none, or a damaged one. */
export function readGallery(folder: string): Gallery {
  const path = join(folder, GALLERY_FILE);
  try {
    return gallerySchema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (error) {
    throw new FactError({
      code: 'E_CONCEPTS_FROM',
      message: `${path} is not the list of a gallery: ${messageOf(error).split('\n')[0]}`,
      remedy: 'Name a folder that `fact concepts gallery` wrote.',
      exitCode: 2,
      cause: error,
    });
  }
}

function isGallery(folder: string): boolean {
  try {
    return JSON.parse(readFileSync(join(folder, GALLERY_FILE), 'utf8')).format === 'fact-concepts';
  } catch {
    // Unreadable or not JSON: not one of ours, so not ours to replace.
    return false;
  }
}

/**
 * A gallery replaces an earlier gallery or an empty folder, never anything else; the same for an unfinished one.
 * Undoes a replacement that a killed process left half-way. Throws FactError E_OUT_EXISTS.
 */
export function checkGalleryTarget(target: string): void {
  recoverFolder(target);
  if (existsSync(target) && namesIn(target)?.length !== 0 && !isGallery(target))
    throw outExists(target, 'a gallery of this program');
  const partial = `${target}${PARTIAL_ENDING}`;
  if (!existsSync(partial)) return;
  const names = namesIn(partial);
  const ours = [...MADE, TOTALS_FILE];
  if (names === null || names.some((name) => !ours.includes(name) && !name.startsWith('.')))
    throw outExists(partial, 'an unfinished gallery of this program');
}

/**
 * A gallery in the making, in the folder `<target>.partial`: totals of the pass, pictures, and a journal that grows card
 * by card, so that the same command goes on where a stopped or killed one ended. `finish` gives it the target's name;
 * until then an earlier gallery stays.
 */
export class GalleryFolder {
  readonly partial: string;
  /** Totals of the pass in the making, and those of a finished gallery in the target's place. */
  readonly totalsFile: string;
  readonly earlierTotals: string;
  private journal: Journal<DrawnConcept> | null = null;

  /** Throws FactError E_OUT_EXISTS. */
  constructor(readonly target: string) {
    checkGalleryTarget(target);
    this.partial = `${target}${PARTIAL_ENDING}`;
    this.totalsFile = join(this.partial, TOTALS_FILE);
    this.earlierTotals = join(target, TOTALS_FILE);
  }

  /**
   * Begins with the cards, and gives those that an earlier run of the same work has drawn.
   * @param about what the cards depend on, plain JSON. Throws FactError E_WRITE.
   */
  begin(about: object): readonly DrawnConcept[] {
    const header = { format: 'fact-concepts-journal', version: 1, ...about };
    const journal = Journal.of<DrawnConcept>(join(this.partial, JOURNAL_FILE), header);
    const state = journal.state();
    if (state.kind === 'foreign') this.clear();
    const done = state.kind === 'same' ? state.records : [];
    journal.open(state.kind === 'same' ? done.length : null);
    this.journal = journal;
    return done;
  }

  /** Keeps a drawn concept. Throws FactError E_WRITE. */
  add(drawn: DrawnConcept): void {
    this.journal?.add(drawn);
  }

  /** Writes the JSON and the pages of what there is; the folder stays unfinished. Throws FactError E_WRITE. */
  write(gallery: Gallery, classes: ClassesReport): void {
    const pictures = picturesOf(gallery);
    const write = (name: string, text: string): void => writeFileAtomic(join(this.partial, name), text);
    for (const card of gallery.concepts) write(cardFile(card.concept), cardPage(card, gallery, pictures));
    write(CLASSES_FILE, classesPage(classes, { pictures, base: '' }));
    write(PAGE_FILE, galleryPage(gallery));
    write(GALLERY_FILE, `${JSON.stringify(gallery, null, 1)}\n`);
  }

  /** Gives the finished gallery its name. Throws FactError E_WRITE. */
  finish(): void {
    this.journal?.close();
    try {
      // What a killed process was just writing.
      for (const name of readdirSync(this.partial, { recursive: true, encoding: 'utf8' }))
        if (/^\..*\.tmp$/.test(basename(name))) rmSync(join(this.partial, name), { force: true });
    } catch (error) {
      throw writeError(this.partial, error);
    }
    replaceFolder(this.partial, this.target);
    try {
      rmSync(join(this.target, JOURNAL_FILE), { force: true });
    } catch (error) {
      throw writeError(this.target, error);
    }
  }

  /** Ends without finishing; what was written stays for the next run. */
  close(): void {
    this.journal?.close();
    this.journal = null;
  }

  /** Removes the cards of other settings; the totals know themselves whose they are. */
  private clear(): void {
    try {
      for (const name of MADE) rmSync(join(this.partial, name), { recursive: true, force: true });
    } catch (error) {
      throw writeError(this.partial, error);
    }
  }
}
