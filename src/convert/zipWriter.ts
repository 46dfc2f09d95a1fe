import { crc32 } from 'node:zlib';

/** A member to be stored, uncompressed. */
export interface ZipEntry {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Midnight of 1980-01-01 in MS-DOS form: the same content gives the same file. */
const DOS_DATE = 0x21;
const VERSION = 20;
const UTF8_NAMES = 0x0800;
/** Data of a member begin at a multiple of this, as PyTorch writes them (so that they can be memory-mapped). */
const ALIGNMENT = 64;
/** Identifier of PyTorch's padding field ("FB"). */
const PADDING_FIELD = 0x4246;
const LOCAL_SIZE = 30;
const CENTRAL_SIZE = 46;
const END_SIZE = 22;

/**
 * A zip archive of stored members as pieces to be written one after the other. Member data are not copied.
 * Throws RangeError above 4 GB (it would need zip64) and above 65,535 members.
 */
export function encodeZip(entries: readonly ZipEntry[]): Uint8Array[] {
  if (entries.length > 0xffff)
    throw new RangeError(`${entries.length} members are too many for a zip archive`);
  const pieces: Uint8Array[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const { name, bytes } of entries) {
    const nameBytes = Buffer.from(name);
    const bare = at + LOCAL_SIZE + nameBytes.length + 4;
    const padding = (ALIGNMENT - (bare % ALIGNMENT)) % ALIGNMENT;
    const crc = crc32(bytes);
    const local = Buffer.alloc(LOCAL_SIZE + nameBytes.length + 4 + padding);
    local.writeUInt32LE(0x04034b50, 0);
    writeCommon(local, 4, crc, bytes.length, nameBytes.length, 4 + padding);
    nameBytes.copy(local, LOCAL_SIZE);
    local.writeUInt16LE(PADDING_FIELD, LOCAL_SIZE + nameBytes.length);
    local.writeUInt16LE(padding, LOCAL_SIZE + nameBytes.length + 2);
    const central = Buffer.alloc(CENTRAL_SIZE + nameBytes.length);
    central.writeUInt32LE(0x02014b50, 0);
    central.writeUInt16LE(VERSION, 4);
    writeCommon(central, 6, crc, bytes.length, nameBytes.length, 0);
    if (at + local.length + bytes.length > 0xffffffff) throw new RangeError('a zip archive above 4 GB');
    central.writeUInt32LE(at, 42);
    nameBytes.copy(central, CENTRAL_SIZE);
    pieces.push(local, bytes);
    directory.push(central);
    at += local.length + bytes.length;
  }
  const size = directory.reduce((sum, entry) => sum + entry.length, 0);
  const end = Buffer.alloc(END_SIZE);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(size, 12);
  end.writeUInt32LE(at, 16);
  return [...pieces, ...directory, end];
}

/** The fields that local headers and directory entries share, from "version needed" on. */
function writeCommon(
  target: Buffer,
  at: number,
  crc: number,
  size: number,
  name: number,
  extra: number,
): void {
  target.writeUInt16LE(VERSION, at);
  target.writeUInt16LE(UTF8_NAMES, at + 2);
  target.writeUInt16LE(DOS_DATE, at + 8);
  target.writeUInt32LE(crc, at + 10);
  target.writeUInt32LE(size, at + 14);
  target.writeUInt32LE(size, at + 18);
  target.writeUInt16LE(name, at + 22);
  target.writeUInt16LE(extra, at + 24);
}
