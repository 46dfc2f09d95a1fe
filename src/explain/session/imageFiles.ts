/** Reading the pictures that a user names: broken ones are named and counted, not fatal to the others. */
import { basename, dirname } from 'node:path';
import { FactError } from '../../core/errors.js';
import { decodeImage } from '../../data/decode.js';
import { evalTransform } from '../../data/evalTransform.js';
import { readImageBytes } from '../../data/imageTable.js';
import { findClass } from '../../models/classes.js';
import type { ModelSpec } from '../../models/spec.js';
import type { ExplainImage } from '../explanation.js';
import type { SkippedImage } from '../report/report.js';

/** More broken pictures than this, and than a twentieth of all, end the command: then something else is wrong. */
export const MAX_SKIPPED = 100;
const MAX_SKIPPED_PART = 1 / 20;

/** Reads one picture as a network sees it; its true class is known where its folder has the name of a class. */
export async function readImage(path: string, spec: ModelSpec): Promise<ExplainImage> {
  const original = await decodeImage(readImageBytes(path), path);
  const [height, width] = spec.preprocessing.crop;
  return {
    name: path,
    pixels: evalTransform(original, spec.preprocessing),
    height,
    width,
    original,
    trueClass: findClass(spec, basename(dirname(path))) ?? null,
  };
}

/** Pictures read in groups, one group at a time in memory, and what had to be skipped. */
export class ImageFiles {
  readonly skipped: SkippedImage[] = [];
  private readonly paths: readonly string[];
  private readonly spec: ModelSpec;
  private readonly total: number;
  private readonly limit: number;
  private readonly places = new WeakMap<ExplainImage, number>();
  private firstError: FactError | null = null;

  /** @param total pictures of the whole work, where `paths` is what is left of it */
  constructor(paths: readonly string[], spec: ModelSpec, total = paths.length) {
    this.paths = paths;
    this.spec = spec;
    this.total = total;
    this.limit = Math.max(MAX_SKIPPED, Math.floor(total * MAX_SKIPPED_PART));
  }

  /**
   * Groups of at most `size` pictures. Throws FactError E_IMAGE_TOO_MANY_BROKEN where more are broken than 100 and than
   * a twentieth, and the error of the first where all of the whole work are broken.
   */
  async *groups(size: number): AsyncGenerator<ExplainImage[]> {
    let group: ExplainImage[] = [];
    let read = 0;
    for (const [place, path] of this.paths.entries()) {
      try {
        const image = await readImage(path, this.spec);
        this.places.set(image, place);
        group.push(image);
        read++;
      } catch (error) {
        if (!(error instanceof FactError)) throw error;
        this.skip(path, error);
        continue;
      }
      if (group.length === size) {
        yield group;
        group = [];
      }
    }
    if (group.length > 0) yield group;
    const isWhole = this.total === this.paths.length;
    if (read === 0 && isWhole && this.firstError !== null) throw this.firstError;
  }

  /** Place in `paths` of a picture that came from here. */
  placeOf(image: ExplainImage): number {
    return this.places.get(image) ?? -1;
  }

  private skip(path: string, error: FactError): void {
    this.firstError ??= error;
    this.skipped.push({ name: path, code: error.code, message: error.message });
    if (this.skipped.length <= this.limit) return;
    throw new FactError({
      code: 'E_IMAGE_TOO_MANY_BROKEN',
      message: `more than ${this.limit} pictures cannot be read; the last: ${error.message}`,
      remedy: 'Check that these are the right files; remove the broken ones.',
    });
  }
}
