import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { writeError } from '../../../core/atomicFile.js';
import { decodeImage } from '../../../data/decode.js';
import { evalTransform } from '../../../data/evalTransform.js';
import type { ImageSource } from '../../../data/imageSource.js';
import { imageName } from '../../../data/imageTable.js';
import { className } from '../../../models/classes.js';
import type { ModelSpec } from '../../../models/spec.js';
import type { ExplainImage, PixelMap } from '../../explanation.js';
import { formLedger } from '../../ledger.js';
import { gradientPicture, type Picture, photograph } from '../../picture/canvas.js';
import { reportLedger } from '../../report/report.js';
import type { TopEntry } from '../totals/topLists.js';
import { type ConceptTotals, RANKINGS } from '../totals/totals.js';
import { type CutBox, cropTo, cutBox, highlight, pixelsOfShare } from './cutOut.js';
import type { CardImage } from './gallerySchema.js';
import type { PresenceMap, PresenceMaps } from './presenceMaps.js';

/** Side of the pictures of a card. */
const TILE = 216;
const THUMBNAIL = 128;
const QUALITY = 84;

export interface CardImageOptions {
  readonly source: ImageSource;
  readonly spec: ModelSpec;
  readonly maps: PresenceMaps;
  readonly totals: ConceptTotals;
  readonly tolerance: number;
  /** Where pictures go. */
  readonly folder: string;
  /** Photographs that are there already; those that are written are added. */
  readonly photos: Set<string>;
}

/**
 * Writes a picture. Not atomically: it counts only once the journal names it, and until then it is written anew.
 * Throws FactError E_WRITE.
 */
async function webp(path: string, { data, width, height }: Picture): Promise<void> {
  const raw = { width, height, channels: 3 as const };
  const bytes = await sharp(data, { raw }).webp({ quality: QUALITY, effort: 3 }).toBuffer();
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, bytes);
  } catch (error) {
    throw writeError(path, error);
  }
}

function padded(number: number, digits: number): string {
  return String(number).padStart(digits, '0');
}

/** Files of a concept in an image, below the gallery's folder. The photograph is shared by all concepts. */
export function pictureFiles(concept: number, sample: number) {
  const place = `${padded(concept, 5)}/${padded(sample, 7)}.webp`;
  return {
    cutOut: `cutouts/${place}`,
    colours: `colours/${place}`,
    photo: `photos/${padded(sample, 7)}.webp`,
  };
}

/** The images of a concept's three lists, each once: those of the first list first. */
export function shownEntries(totals: ConceptTotals, concept: number): TopEntry[] {
  const bySample = new Map<number, TopEntry>();
  for (const ranking of RANKINGS)
    for (const entry of totals.tops[ranking].entries(concept))
      if (!bySample.has(entry.sample)) bySample.set(entry.sample, entry);
  return [...bySample.values()];
}

async function readSample(source: ImageSource, sample: number, spec: ModelSpec): Promise<ExplainImage> {
  const name = imageName(source.table, sample);
  const original = await decodeImage(await source.read(sample), name);
  const [height, width] = spec.preprocessing.crop;
  const pixels = evalTransform(original, spec.preprocessing);
  return { name: source.key(sample), pixels, height, width, original, trueClass: null };
}

/**
 * Draws the images of a concept: cut-out, coloured gradient and photograph, with the proof that the pixels sum to the
 * presence. Throws FactError E_IMAGE_* (a picture changed since the pass), E_WRITE.
 */
export async function drawCardImages(concept: number, options: CardImageOptions): Promise<CardImage[]> {
  const { source, spec, maps, totals } = options;
  const entries = shownEntries(totals, concept);
  const images = await Promise.all(entries.map(({ sample }) => readSample(source, sample, spec)));
  const found = await maps.run(images.map(({ pixels }) => ({ concept, pixels })));
  const drawn: CardImage[] = [];
  for (const [i, entry] of entries.entries())
    drawn.push(await drawOne(concept, entry, images[i], found[i], options));
  return drawn;
}

function mapOf({ height, width }: ExplainImage, { map }: PresenceMap): PixelMap {
  return { height, width, values: map };
}

/** Width of the whole picture of which a box fills `side` pixels. */
function widthFor({ width, height }: ExplainImage, box: CutBox, side: number): number {
  return Math.round((side * width) / Math.max(box.width * width, box.height * height));
}

/** Draws a small cut-out of a concept that has no card: of its first image. @returns its file, below the folder */
export async function drawThumbnail(
  concept: number,
  { source, spec, maps, totals, folder }: Omit<CardImageOptions, 'tolerance' | 'photos'>,
): Promise<string | null> {
  const [entry] = shownEntries(totals, concept);
  if (entry === undefined) return null;
  const image = await readSample(source, entry.sample, spec);
  const [found] = await maps.run([{ concept, pixels: image.pixels }]);
  const map = mapOf(image, found);
  const box = cutBox(map);
  const photo = photograph(image, spec.preprocessing, widthFor(image, box, THUMBNAIL));
  const file = `thumbnails/${padded(concept, 5)}.webp`;
  await webp(join(folder, file), cropTo(highlight(photo, map), box, THUMBNAIL));
  return file;
}

async function drawOne(
  concept: number,
  entry: TopEntry,
  image: ExplainImage,
  found: PresenceMap,
  { source, spec, maps, tolerance, folder, photos }: CardImageOptions,
): Promise<CardImage> {
  const map = mapOf(image, found);
  const box = cutBox(map);
  const files = pictureFiles(concept, entry.sample);
  const width = widthFor(image, box, TILE);
  const photo = photograph(image, spec.preprocessing, width);
  const colours = gradientPicture(image, found.gradient, width);
  await Promise.all([
    webp(join(folder, files.cutOut), cropTo(highlight(photo, map), box, TILE)),
    webp(join(folder, files.colours), cropTo(colours, box, TILE)),
  ]);
  if (!photos.has(files.photo))
    await webp(join(folder, files.photo), photograph(image, spec.preprocessing, TILE));
  photos.add(files.photo);
  const label = source.label(entry.sample);
  const nameOf = (index: number) => ({ index, name: className(spec, index) });
  const ledger = formLedger({
    side: 'pixels',
    subject: `presence of concept ${concept} in ${image.name}`,
    left: found.presence,
    terms: found.map,
    termsName: 'pixels',
    constants: maps.constants.map((name, c) => ({ name, value: found.constants[c] })),
    tolerance,
  });
  return {
    sample: entry.sample,
    key: image.name,
    label: label < 0 ? null : nameOf(label),
    predicted: nameOf(entry.predicted),
    contribution: entry.contribution,
    share: entry.share,
    presence: entry.presence,
    peak: entry.peak,
    position: entry.position,
    ...files,
    box: { ...box },
    pixels80: pixelsOfShare(found.map).count / found.map.length,
    ledger: reportLedger(ledger),
  };
}
