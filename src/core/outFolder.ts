import { readdirSync } from 'node:fs';
import { FactError } from './errors.js';

/** What lies in a folder; null where that cannot be known: a file, or a folder that may not be read, is in the way. */
export function namesIn(folder: string): string[] | null {
  try {
    return readdirSync(folder);
  } catch {
    return null;
  }
}

/** The error for a target that holds something else: `what` it would have to be, with its article. */
export function outExists(folder: string, what: string): FactError {
  return new FactError({
    code: 'E_OUT_EXISTS',
    message: `${folder} exists and is not ${what}`,
    remedy: 'Choose another folder with --out, or remove it.',
    exitCode: 2,
  });
}
