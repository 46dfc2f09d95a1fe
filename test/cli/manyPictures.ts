import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { writeBroken } from './explainCase.js';

/** Writes `count` tiny pictures named by their number, of which `broken` are none. */
export async function writePictures(folder: string, count: number, broken: readonly number[]): Promise<void> {
  mkdirSync(folder);
  for (let i = 0; i < count; i++) {
    const path = join(folder, `${String(i).padStart(2, '0')}.png`);
    if (broken.includes(i)) {
      writeBroken(path);
      continue;
    }
    const background = { r: (i * 40) % 256, g: (i * 90) % 256, b: 255 - i };
    await sharp({ create: { width: 20, height: 20, channels: 3, background } })
      .png()
      .toFile(path);
  }
}

/** Lines of a file, 0 where it is not there. */
export function linesOf(path: string): number {
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n').length - 1 : 0;
}

/** Waits until something is the case. */
export async function until(isReached: () => boolean): Promise<void> {
  while (!isReached()) await new Promise((resolve) => setTimeout(resolve, 2));
}

/** Names of all files below a folder whose content is not that of the file of the same name below another, or missing. */
export function differingFiles(folder: string, other: string): string[] {
  const filesOf = (root: string): Map<string, string> => {
    const names = readdirSync(root, { recursive: true }).map(String);
    const files = names.filter((name) => statSync(join(root, name)).isFile());
    return new Map(files.map((name) => [name, readFileSync(join(root, name), 'base64')]));
  };
  const [a, b] = [filesOf(folder), filesOf(other)];
  return [...new Set([...a.keys(), ...b.keys()])].filter((name) => a.get(name) !== b.get(name));
}
