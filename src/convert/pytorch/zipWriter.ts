import { crc32 } from 'node:zlib';

/** A member to be stored, uncompressed. Its bytes are asked for once, when its turn comes. */
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
const END64_SIZE = 56;
const LOCATOR64_SIZE = 20;
const VERSION64 = 45;
const ZIP64_FIELD = 1;
/** Fields of 32 and 16 bits that are all ones leave their value to zip64. */
const MAX_32 = 0xffffffff;
const MAX_16 = 0xffff;

/**
 * A zip archive of stored members as pieces to be written one after the other, one member at a time. Member data are not
 * copied. Sizes and offsets of 4 GB and more, and 65,535 members and more, are written as zip64 has them.
 */
export function* encodeZip(entries: Iterable<ZipEntry>): Generator<Uint8Array> {
  const directory: Buffer[] = [];
  let at = 0;
  for (const entry of entries) {
    const { bytes } = entry;
    const name = Buffer.from(entry.name);
    const crc = crc32(bytes);
    const isLarge = bytes.length >= MAX_32;
    const own = isLarge ? sizeField([bytes.length, bytes.length]) : Buffer.alloc(0);
    const bare = at + LOCAL_SIZE + name.length + own.length + 4;
    const padding = paddingField((ALIGNMENT - (bare % ALIGNMENT)) % ALIGNMENT);
    const local = Buffer.alloc(LOCAL_SIZE);
    local.writeUInt32LE(0x04034b50, 0);
    writeCommon(local, 4, crc, bytes.length, name.length, own.length + padding.length);
    directory.push(directoryEntry(name, crc, bytes.length, at));
    at += LOCAL_SIZE + name.length + own.length + padding.length + bytes.length;
    yield Buffer.concat([local, name, own, padding]);
    yield bytes;
  }
  yield* directory;
  const size = directory.reduce((sum, piece) => sum + piece.length, 0);
  if (at + size >= MAX_32 || directory.length >= MAX_16) yield end64(directory.length, size, at);
  const end = Buffer.alloc(END_SIZE);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(Math.min(MAX_16, directory.length), 8);
  end.writeUInt16LE(Math.min(MAX_16, directory.length), 10);
  end.writeUInt32LE(Math.min(MAX_32, size), 12);
  end.writeUInt32LE(Math.min(MAX_32, at), 16);
  yield end;
}

function directoryEntry(name: Buffer, crc: number, size: number, at: number): Buffer {
  const large = [...(size >= MAX_32 ? [size, size] : []), ...(at >= MAX_32 ? [at] : [])];
  const extra = large.length > 0 ? sizeField(large) : Buffer.alloc(0);
  const entry = Buffer.alloc(CENTRAL_SIZE);
  entry.writeUInt32LE(0x02014b50, 0);
  entry.writeUInt16LE(large.length > 0 ? VERSION64 : VERSION, 4);
  writeCommon(entry, 6, crc, size, name.length, extra.length);
  entry.writeUInt32LE(Math.min(MAX_32, at), 42);
  return Buffer.concat([entry, name, extra]);
}

/** The zip64 field: sizes and offsets that do not fit into 32 bits. */
function sizeField(values: readonly number[]): Buffer {
  const field = Buffer.alloc(4 + 8 * values.length);
  field.writeUInt16LE(ZIP64_FIELD, 0);
  field.writeUInt16LE(8 * values.length, 2);
  values.forEach((value, i) => {
    field.writeBigUInt64LE(BigInt(value), 4 + 8 * i);
  });
  return field;
}

function paddingField(length: number): Buffer {
  const field = Buffer.alloc(4 + length);
  field.writeUInt16LE(PADDING_FIELD, 0);
  field.writeUInt16LE(length, 2);
  return field;
}

/** The zip64 end record and its locator; the directory ends where the record begins. */
function end64(entries: number, size: number, start: number): Buffer {
  const record = Buffer.alloc(END64_SIZE + LOCATOR64_SIZE);
  record.writeUInt32LE(0x06064b50, 0);
  record.writeBigUInt64LE(BigInt(END64_SIZE - 12), 4);
  record.writeUInt16LE(VERSION64, 12);
  record.writeUInt16LE(VERSION64, 14);
  record.writeBigUInt64LE(BigInt(entries), 24);
  record.writeBigUInt64LE(BigInt(entries), 32);
  record.writeBigUInt64LE(BigInt(size), 40);
  record.writeBigUInt64LE(BigInt(start), 48);
  record.writeUInt32LE(0x07064b50, END64_SIZE);
  record.writeBigUInt64LE(BigInt(start + size), END64_SIZE + 8);
  record.writeUInt32LE(1, END64_SIZE + 16);
  return record;
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
  target.writeUInt16LE(size >= MAX_32 ? VERSION64 : VERSION, at);
  target.writeUInt16LE(UTF8_NAMES, at + 2);
  target.writeUInt16LE(DOS_DATE, at + 8);
  target.writeUInt32LE(crc, at + 10);
  target.writeUInt32LE(Math.min(MAX_32, size), at + 14);
  target.writeUInt32LE(Math.min(MAX_32, size), at + 18);
  target.writeUInt16LE(name, at + 22);
  target.writeUInt16LE(extra, at + 24);
}
