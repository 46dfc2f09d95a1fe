import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { extract, type Header } from 'tar-stream';
import { FactError, messageOf, systemCodeOf } from '../core/index.js';

/** One regular file in a tar archive. */
export interface TarMember {
  readonly name: string;
  /** Where its content begins in the uncompressed archive. */
  readonly offset: number;
  readonly size: number;
  /** The content, where `wantsContent` asked for it. */
  readonly content: Uint8Array | null;
}

/** True for names that mean a gzip-compressed archive. */
export function isGzipName(path: string): boolean {
  return /\.(tar\.gz|tgz)$/i.test(path);
}

function shardError(path: string, error: unknown): FactError {
  if (['ENOENT', 'EACCES', 'EPERM', 'EISDIR', 'EIO'].includes(systemCodeOf(error) ?? '')) {
    return new FactError({
      code: 'E_SHARD_UNREADABLE',
      message: `cannot read ${path}: ${messageOf(error)}`,
      remedy: 'Check the path and its permissions.',
      cause: error,
    });
  }
  return new FactError({
    code: 'E_SHARD_CORRUPT',
    message: `${path} is damaged or cut short: ${messageOf(error)}`,
    remedy: 'Fetch the shard again.',
    cause: error,
  });
}

/**
 * Walks the regular files of a tar or tar.gz archive in order. Nothing is unpacked to disk. Links and devices are
 * refused. `visit` may throw a FactError to stop.
 * Throws FactError E_SHARD_UNREADABLE, E_SHARD_CORRUPT, E_SHARD_MEMBER.
 */
export async function scanTar(
  path: string,
  wantsContent: (name: string, size: number) => boolean,
  visit: (member: TarMember) => void,
): Promise<void> {
  const archive = extract();
  archive.on('entry', (header, stream, next) => {
    const size = header.size ?? 0;
    const { name, type } = header;
    // A failed archive fails its open member too; the archive's error is the one that is reported.
    stream.on('error', () => {});
    if (type === 'directory') {
      stream.resume();
      next();
      return;
    }
    if (type !== 'file' && type !== 'contiguous-file') {
      next(
        new FactError({
          code: 'E_SHARD_MEMBER',
          message: `${path}: member ${name} is a ${type}, not a file`,
          remedy: 'Write the shard again with regular files only.',
        }),
      );
      return;
    }
    // tar-stream sets byteOffset on each header; its type declarations leave it out.
    const offset = (header as Header & { byteOffset: number }).byteOffset;
    try {
      const parts: Uint8Array[] | null = wantsContent(name, size) ? [] : null;
      if (parts === null) stream.resume();
      else stream.on('data', (part) => parts.push(part as Uint8Array));
      stream.on('end', () => {
        try {
          const content = parts === null ? null : parts.length === 1 ? parts[0] : Buffer.concat(parts);
          visit({ name, offset, size, content });
          next();
        } catch (error) {
          next(error as Error);
        }
      });
    } catch (error) {
      next(error as Error);
    }
  });
  try {
    const file = createReadStream(path, { highWaterMark: 2 ** 20 });
    if (isGzipName(path)) await pipeline(file, createGunzip({ chunkSize: 2 ** 18 }), archive);
    else await pipeline(file, archive);
  } catch (error) {
    throw error instanceof FactError ? error : shardError(path, error);
  }
}
