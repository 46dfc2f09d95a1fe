import { existsSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { extname, join } from 'node:path';
import { FactError, systemCodeOf } from '../core/errors.js';
import { SPEC_FILE } from '../models/modelFile.js';

export type TargetFormat = 'tfjs' | 'pytorch' | 'safetensors' | 'onnx';

const FILE_TARGETS = new Map<string, TargetFormat>([
  ['.safetensors', 'safetensors'],
  ['.pth', 'pytorch'],
  ['.pt', 'pytorch'],
  ['.ckpt', 'pytorch'],
  ['.onnx', 'onnx'],
]);
/** Extensions of other tools' formats: a folder of such a name would be a mistake. */
const FOREIGN = [
  '.h5',
  '.hdf5',
  '.keras',
  '.json',
  '.bin',
  '.pb',
  '.npz',
  '.npy',
  '.tflite',
  '.zip',
  '.tar',
  '.pkl',
];

/** Wrong usage: exit status 2. */
export function usage(message: string, remedy: string): FactError {
  return new FactError({ code: 'E_USAGE', message, remedy, exitCode: 2 });
}

/** What a target's name asks for: .pth, .pt, .ckpt, .safetensors, .onnx, or a folder. Throws E_USAGE for other tools' formats. */
export function targetFormat(target: string): TargetFormat {
  const extension = extname(target).toLowerCase();
  const format = FILE_TARGETS.get(extension);
  if (format !== undefined) return format;
  if (FOREIGN.includes(extension))
    throw usage(
      `cannot write ${target}: ${extension} is no format of this command`,
      'Give a target that ends in .pth, .pt, .ckpt, .safetensors or .onnx, or a folder for a network.',
    );
  return 'tfjs';
}

/** True for a folder that holds a network saved by this package. */
export function isModelFolder(path: string): boolean {
  return existsSync(join(path, SPEC_FILE));
}

/** True for a folder; false for anything else, also for a path that cannot be looked at (reading it says why). */
export function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (error) {
    if (systemCodeOf(error) === undefined) throw error;
    return false;
  }
}

/** Refuses a target that would destroy something the user did not mean. Throws E_EXISTS. */
export function checkTarget(source: string, target: string, format: TargetFormat, force: boolean): void {
  if (!existsSync(target)) return;
  const exists = (what: string, remedy: string): FactError =>
    new FactError({ code: 'E_EXISTS', message: `${target}: ${what}`, remedy });
  if (existsSync(source) && realpathSync(source) === realpathSync(target))
    throw exists('source and target are the same', 'Name another target.');
  if (isFolder(target)) {
    if (format !== 'tfjs') throw exists('this is a folder', 'Name a file as target.');
    if (readdirSync(target).length === 0) return;
    if (!isModelFolder(target))
      throw exists('this folder holds other things than a network', 'Name a new folder; it will be made.');
  } else if (format === 'tfjs') {
    throw exists(
      'this is a file, and a network is saved as a folder',
      'Name a new folder, or a .pth, .safetensors or .onnx file.',
    );
  }
  if (!force) throw exists('it exists already', 'Name another target, or replace it with --force.');
}
