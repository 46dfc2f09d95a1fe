import { join } from 'node:path';
import { decodeImage } from '../data/decode.js';
import { readImageBytes } from '../data/imageTable.js';
import type { WeightStorage } from '../engine/onnx/weightStorage.js';
import { checkExport, type ExportCheck } from '../explain/exported/check.js';
import type { ExportSource } from '../explain/exported/exportModel.js';
import { ExportedFile } from '../explain/exported/file.js';
import { DEFAULT_TOLERANCE } from '../explain/ledger.js';
import { shippedFolder } from '../explain/session/shipped.js';
import type { CliContext } from './context.js';

/** Largest difference between file and program, relative by norms. */
const DIFFERENCE_LIMIT = 1e-5;

/** A photograph that comes with this package. */
function examplePhoto(): string {
  return join(shippedFolder(), '..', 'examples', 'photos', 'tabby', 'chelsea.jpg');
}

export interface WrittenCheck {
  readonly result: ExportCheck;
  readonly lines: readonly string[];
  readonly holds: boolean;
}

/**
 * Runs a written file on a photograph (true: one of the examples) and compares it with the program that it was made of.
 * Rounded weights may differ from it, ledgers hold in any case.
 */
export async function checkWritten(
  context: CliContext,
  path: string,
  source: ExportSource,
  weights: WeightStorage,
  picture: string | true,
): Promise<WrittenCheck> {
  const photoPath = picture === true ? examplePhoto() : picture;
  const photo = await decodeImage(readImageBytes(photoPath), photoPath);
  const threads = context.threads === undefined ? {} : { threads: context.threads };
  const file = await ExportedFile.open(path, threads);
  try {
    const result = await checkExport(file, source, photo);
    const { differences, largestDifference, largestLedgerError } = result;
    const agrees = largestDifference <= DIFFERENCE_LIMIT;
    const closes = largestLedgerError <= DEFAULT_TOLERANCE;
    const isRounded = weights !== 'f32';
    const verdict = agrees ? 'agrees' : isRounded ? `what ${weights} weights cost` : 'DOES NOT AGREE';
    const lines = [
      `check on ${photoPath}`,
      `  ${Object.keys(differences).length} outputs and the program: largest difference ${largestDifference.toExponential(1)}: ${verdict}`,
      `  ledgers: largest relative error ${largestLedgerError.toExponential(1)}, allowed ${DEFAULT_TOLERANCE.toExponential(0)}: ${closes ? 'hold' : 'DO NOT HOLD'}`,
    ];
    return { result, lines, holds: closes && (agrees || isRounded) };
  } finally {
    await file.close();
  }
}
