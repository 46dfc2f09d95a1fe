/** Reading the pictures that a user names: broken ones are named and counted, not fatal to the others. */
import { basename, dirname } from 'node:path';
import { FactError } from '../core/errors.js';
import { decodeImage } from '../data/decode.js';
import { evalTransform } from '../data/evalTransform.js';
import { readImageBytes } from '../data/imageTable.js';
import type { ModelSpec } from '../models/spec.js';
import { findClass } from './classes.js';
import type { ExplainImage } from './explanation.js';
import type { SkippedImage } from './report.js';

/** More broken pictures than this end the command: then something else is wrong. */
export const MAX_SKIPPED = 100;

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
  private firstError: FactError | null = null;

  constructor(paths: readonly string[], spec: ModelSpec) {
    this.paths = paths;
    this.spec = spec;
  }

  /**
   * Groups of at most `size` pictures. Throws FactError E_IMAGE_TOO_MANY_BROKEN after 100 broken pictures, and the
   * error of the first where all are broken.
   */
  async *groups(size: number): AsyncGenerator<ExplainImage[]> {
    let group: ExplainImage[] = [];
    let read = 0;
    for (const path of this.paths) {
      try {
        group.push(await readImage(path, this.spec));
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
    if (read === 0 && this.firstError !== null) throw this.firstError;
  }

  private skip(path: string, error: FactError): void {
    this.firstError ??= error;
    this.skipped.push({ name: path, code: error.code, message: error.message });
    if (this.skipped.length <= MAX_SKIPPED) return;
    throw new FactError({
      code: 'E_IMAGE_TOO_MANY_BROKEN',
      message: `more than ${MAX_SKIPPED} pictures cannot be read; the last: ${error.message}`,
      remedy: 'Check that these are the right files; remove the broken ones.',
    });
  }
}
