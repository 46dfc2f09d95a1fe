/** The seal of an exported file, and reading what a file says about itself. */
import { FactError, messageOf } from '../../core/errors.js';
import { sha256 } from '../../core/hash.js';
import { parseModel } from '../../engine/onnx/proto.js';
import { OPEN_SEAL, SEAL_KEY } from './notes.js';
import { EXPORT_FORMAT } from './subject.js';

const AGAIN = 'Write it again with `fact export`, or copy it again from where it comes.';

/** Place of the 64 digits in the bytes, or -1; the metadata stand at the end of a file. */
function sealPlace(buffer: Buffer, digits: string): number {
  const key = buffer.lastIndexOf(SEAL_KEY);
  return key < 0 ? -1 : buffer.indexOf(digits, key);
}

/** Puts the hash of a file's bytes in the place of its open seal; changes `bytes` and returns the hash. */
export function sealBytes(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const place = sealPlace(buffer, OPEN_SEAL);
  if (place < 0) throw new Error('the file has no place for its seal');
  const seal = sha256(bytes);
  buffer.write(seal, place, 'latin1');
  return seal;
}

function parse(path: string, bytes: Uint8Array): ReturnType<typeof parseModel> {
  const damaged = (cause?: unknown): FactError =>
    new FactError({
      code: 'E_EXPORTED_DAMAGED',
      message: `${path}: ${bytes.length} bytes that are no ONNX file, or only a part of one${cause === undefined ? '' : ` (${messageOf(cause)})`}`,
      remedy: AGAIN,
      cause,
    });
  try {
    const model = parseModel(bytes);
    if (!model.graph?.node?.length) throw damaged();
    return model;
  } catch (error) {
    throw error instanceof FactError ? error : damaged(error);
  }
}

/**
 * Metadata of an exported file whose content is what was written. Throws FactError E_EXPORTED_DAMAGED (cut short, or
 * not ONNX), E_EXPORTED_FOREIGN (ONNX of another program or of another version), E_EXPORTED_CHANGED (edited).
 */
export function readSealed(path: string, bytes: Uint8Array): Readonly<Record<string, string>> {
  const model = parse(path, bytes);
  const metadata = Object.fromEntries(
    (model.metadataProps ?? []).map(({ key, value }) => [key ?? '', value ?? '']),
  );
  if (metadata.format !== EXPORT_FORMAT) {
    const what =
      metadata.format === undefined ? 'no explanation file' : `a file of format "${metadata.format}"`;
    throw new FactError({
      code: 'E_EXPORTED_FOREIGN',
      message: `${path}: ${what}, expected "${EXPORT_FORMAT}"${model.producerName ? `; made by ${model.producerName}` : ''}`,
      remedy: 'Give a file that `fact export` of this version wrote.',
    });
  }
  const buffer = Buffer.from(bytes);
  const seal = metadata[SEAL_KEY] ?? '';
  const place = sealPlace(buffer, seal);
  if (/^[0-9a-f]{64}$/.test(seal) && place >= 0) {
    buffer.write(OPEN_SEAL, place, 'latin1');
    if (sha256(buffer) === seal) return metadata;
  }
  throw new FactError({
    code: 'E_EXPORTED_CHANGED',
    message: `${path}: its content is not what was written: the SHA-256 in its metadata is that of other bytes`,
    remedy: AGAIN,
  });
}
