/**
 * Takes chosen members out of a zip archive on disk, a piece at a time. The archive's SHA-256 has been compared with
 * the published one before: what it says of itself is trusted; checksums are compared because disks fail.
 */
import { createReadStream, createWriteStream, mkdirSync, statSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { crc32, createInflateRaw } from 'node:zlib';
import { writeError } from '../../../core/atomicFile.js';
import { FactError, systemCodeOf } from '../../../core/errors.js';

/** Signatures and fixed sizes of PKWARE's APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16. */
const CENTRAL = 0x02014b50;
const CENTRAL_BYTES = 46;
const LOCAL_BYTES = 30;
const END = Buffer.from('504b0506', 'hex');
const END_BYTES = 22;
const LONGEST_COMMENT = 0xffff;
const STORED = 0;
const DEFLATED = 8;
const MAX_32 = 0xffffffff;

interface Member {
  readonly name: string;
  readonly method: number;
  readonly packedBytes: number;
  readonly bytes: number;
  readonly crc: number;
  readonly headerAt: number;
}

function archiveError(path: string, what: string): FactError {
  return new FactError({
    code: 'E_ENGINE_INSTALL',
    message: `engine install: ${path}: ${what}`,
    remedy: 'Report this: the archive is the published one, but not of the form that is expected.',
  });
}

async function bytesAt(file: FileHandle, at: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, at);
  return buffer.subarray(0, bytesRead);
}

async function readDirectory(file: FileHandle, path: string): Promise<Member[]> {
  const { size } = await file.stat();
  const tailBytes = Math.min(size, END_BYTES + LONGEST_COMMENT);
  const tail = await bytesAt(file, size - tailBytes, tailBytes);
  const end = tail.lastIndexOf(END);
  if (end < 0) throw archiveError(path, 'it is no zip archive');
  const start = tail.readUInt32LE(end + 16);
  if (start === MAX_32) throw archiveError(path, 'it is a zip64 archive');
  const directory = await bytesAt(file, start, tail.readUInt32LE(end + 12));
  const members: Member[] = [];
  for (let at = 0; at + CENTRAL_BYTES <= directory.length && directory.readUInt32LE(at) === CENTRAL; ) {
    const nameBytes = directory.readUInt16LE(at + 28);
    members.push({
      name: directory.toString('utf8', at + CENTRAL_BYTES, at + CENTRAL_BYTES + nameBytes),
      method: directory.readUInt16LE(at + 10),
      packedBytes: directory.readUInt32LE(at + 20),
      bytes: directory.readUInt32LE(at + 24),
      crc: directory.readUInt32LE(at + 16),
      headerAt: directory.readUInt32LE(at + 42),
    });
    at += CENTRAL_BYTES + nameBytes + directory.readUInt16LE(at + 30) + directory.readUInt16LE(at + 32);
  }
  return members;
}

async function unpackMember(
  path: string,
  file: FileHandle,
  member: Member,
  target: string,
  signal?: AbortSignal,
): Promise<void> {
  const header = await bytesAt(file, member.headerAt, LOCAL_BYTES);
  const start = member.headerAt + LOCAL_BYTES + header.readUInt16LE(26) + header.readUInt16LE(28);
  mkdirSync(dirname(target), { recursive: true });
  const source = createReadStream(path, { start, end: start + member.packedBytes - 1 });
  const sink = createWriteStream(target, { flush: true });
  let crc = 0;
  async function* checked(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const piece of pieces) {
      crc = crc32(piece, crc);
      yield piece;
    }
  }
  try {
    if (member.method === DEFLATED) await pipeline(source, createInflateRaw(), checked, sink, { signal });
    else await pipeline(source, checked, sink, { signal });
  } catch (error) {
    if (signal?.aborted === true) throw signal.reason;
    if (systemCodeOf(error)?.startsWith('Z_') === true) throw archiveError(path, `${member.name} is damaged`);
    throw writeError(target, error);
  }
  if (statSync(target).size !== member.bytes || crc !== member.crc)
    throw archiveError(path, `${member.name} is damaged: its length or checksum is wrong`);
}

/**
 * Unpacks the members whose names match into `folder`, under their names. Returns how many there were.
 * Throws FactError E_ENGINE_INSTALL (another form of archive), E_WRITE; the reason of an aborted signal.
 */
export async function unpackMembers(
  path: string,
  members: RegExp,
  folder: string,
  options: { readonly signal?: AbortSignal; readonly onBytes?: (bytes: number) => void } = {},
): Promise<number> {
  const file = await open(path, 'r');
  try {
    const chosen = (await readDirectory(file, path)).filter(
      ({ name }) => members.test(name) && !name.endsWith('/'),
    );
    for (const member of chosen) {
      if ((member.method !== DEFLATED && member.method !== STORED) || member.name.split('/').includes('..'))
        throw archiveError(path, `${member.name} is not of a form that can be unpacked`);
      await unpackMember(path, file, member, join(folder, member.name), options.signal);
      options.onBytes?.(member.bytes);
    }
    return chosen.length;
  } finally {
    await file.close();
  }
}
