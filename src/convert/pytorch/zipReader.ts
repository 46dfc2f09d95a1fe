import { crc32, inflateRawSync } from 'node:zlib';
import { systemCodeOf } from '../../core/errors.js';
import { type ByteSource, MemorySource } from '../byteSource.js';
import { type CheckpointErrors, quoted } from '../checkpointError.js';
import {
  FREE_INFLATED_BYTES,
  MAX_INFLATION,
  MAX_MEMBER_BYTES,
  MAX_ZIP_DIRECTORY,
  MAX_ZIP_MEMBERS,
} from '../limits.js';

/** Signatures and fixed sizes of PKWARE's APPNOTE.TXT 6.3.10, sections 4.3.7 to 4.3.16. */
const LOCAL = 0x04034b50;
const LOCAL_SIZE = 30;
const CENTRAL = 0x02014b50;
const CENTRAL_SIZE = 46;
const END = 0x06054b50;
const END_SIZE = 22;
const END64 = 0x06064b50;
const END64_SIZE = 56;
const LOCATOR64 = 0x07064b50;
const LOCATOR64_SIZE = 20;
const ZIP64_FIELD = 1;
const FLAG_ENCRYPTED = 0x0001;
const FLAG_DESCRIPTOR = 0x0008;
const FLAG_PATCH = 0x0020;
const FLAG_STRONG = 0x2040;
const STORED = 0;
const DEFLATED = 8;
const MAX_32 = 0xffffffff;
/** Longest comment behind the end record. */
const LONGEST_COMMENT = 0xffff;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export interface ZipMember {
  readonly name: string;
  readonly method: number;
  readonly crc: number;
  readonly packedSize: number;
  readonly size: number;
  /** Where the member's bytes begin in the file. */
  readonly start: number;
}

interface Directory {
  readonly entries: number;
  readonly size: number;
  readonly start: number;
  /** Where the end records begin: the directory has to end there. */
  readonly endsAt: number;
}

/** Members are checked in pieces of this size where only a part of one is wanted. */
const CHECK_BYTES = 2 ** 20;

/**
 * A zip archive, for reading only and by ranges: nothing is ever extracted to a path. The central directory rules; local
 * headers have to agree with it. Stored and deflated members, zip64, data descriptors, comments. Refused: encryption,
 * other methods, two members of one name, names that leave the archive, overlapping members, several disks.
 */
export class ZipArchive {
  readonly members: ReadonlyMap<string, ZipMember>;
  private readonly source: ByteSource;
  /** Members whose checksum was right. */
  private readonly checked = new Set<ZipMember>();
  /** Content of deflated members: they cannot be read in parts. */
  private readonly contents = new Map<ZipMember, Uint8Array>();
  private inflated = 0;

  constructor(
    source: ByteSource | Uint8Array,
    private readonly errors: CheckpointErrors,
  ) {
    this.source = source instanceof Uint8Array ? new MemorySource(source) : source;
    this.members = this.readDirectory(this.findDirectory());
  }

  /** The bytes of a member, its CRC checked; of an archive in memory a view where the member is stored. */
  read(member: ZipMember): Uint8Array {
    return this.readPart(member, 0, member.size);
  }

  /** A part of a member's bytes; the CRC of the whole member is checked at its first use. */
  readPart(member: ZipMember, from: number, length: number): Uint8Array {
    if (member.method !== STORED) return this.contentOf(member).subarray(from, from + length);
    if (length > MAX_MEMBER_BYTES)
      throw this.errors.fault(
        'too_large',
        quoted(member.name),
        `${length} bytes in one piece, at most ${MAX_MEMBER_BYTES} are read`,
      );
    const isWhole = from === 0 && length === member.size;
    if (!isWhole && !this.checked.has(member)) this.checkStored(member);
    const part = this.source.read(member.start + from, length);
    if (isWhole && !this.checked.has(member)) this.accept(member, crc32(part));
    return part;
  }

  private checkStored(member: ZipMember): void {
    let crc = 0;
    for (let at = 0; at < member.size; at += CHECK_BYTES)
      crc = crc32(this.source.read(member.start + at, Math.min(CHECK_BYTES, member.size - at)), crc);
    this.accept(member, crc);
  }

  private accept(member: ZipMember, crc: number): void {
    if (crc !== member.crc)
      throw this.errors.fault('corrupt', quoted(member.name), 'the checksum (CRC-32) of its bytes is wrong');
    this.checked.add(member);
  }

  private contentOf(member: ZipMember): Uint8Array {
    const known = this.contents.get(member);
    if (known !== undefined) return known;
    const content = this.inflate(member);
    this.accept(member, crc32(content));
    this.contents.set(member, content);
    return content;
  }

  private inflate(member: ZipMember): Uint8Array {
    this.inflated += member.size;
    const limit = Math.max(FREE_INFLATED_BYTES, MAX_INFLATION * this.source.size);
    if (this.inflated > limit || member.packedSize > MAX_MEMBER_BYTES)
      throw this.errors.fault(
        'too_large',
        quoted(member.name),
        `it inflates to ${member.size} bytes; a file of ${this.source.size} bytes may inflate to ${limit}`,
      );
    const packed = this.source.read(member.start, member.packedSize);
    let content: Uint8Array;
    try {
      content = inflateRawSync(packed, { maxOutputLength: Math.max(1, member.size) });
    } catch (error) {
      const tooLong = systemCodeOf(error) === 'ERR_BUFFER_TOO_LARGE';
      const what = tooLong
        ? `it inflates to more than the ${member.size} bytes it names`
        : 'its deflate stream is damaged';
      throw this.errors.fault('corrupt', quoted(member.name), what);
    }
    if (content.length !== member.size)
      throw this.errors.fault(
        'corrupt',
        quoted(member.name),
        `it inflates to ${content.length} bytes, its header names ${member.size}`,
      );
    return content;
  }

  /** The end record: its comment reaches exactly to the end of the file and the directory exactly to the record. */
  private findDirectory(): Directory {
    const { source } = this;
    const from = Math.max(0, source.size - END_SIZE - LONGEST_COMMENT);
    const tail = viewOf(source.read(from, source.size - from));
    let problem: string | undefined;
    for (let at = tail.byteLength - END_SIZE; at >= 0; at--) {
      if (tail.getUint32(at, true) !== END) continue;
      if (at + END_SIZE + tail.getUint16(at + 20, true) !== tail.byteLength) continue;
      const directory = this.directoryOf(from + at);
      if (typeof directory === 'object') return directory;
      problem ??= directory;
    }
    if (problem !== undefined) throw this.errors.fault('corrupt', 'zip end record', problem);
    throw this.errors.fault(
      'truncated',
      'zip archive',
      'it has no end record: the end of the file is missing',
    );
  }

  private directoryOf(end: number): Directory | string {
    const { source } = this;
    const view = viewOf(source.read(end, END_SIZE));
    const disks = view.getUint16(4, true) | view.getUint16(6, true);
    let entries = view.getUint16(10, true);
    let size = view.getUint32(12, true);
    let start = view.getUint32(16, true);
    let endsAt = end;
    const locatorAt = end - LOCATOR64_SIZE;
    const locator = locatorAt >= 0 ? viewOf(source.read(locatorAt, LOCATOR64_SIZE)) : null;
    if (locator !== null && locator.getUint32(0, true) === LOCATOR64) {
      const at = Number(locator.getBigUint64(8, true));
      const record = at + END64_SIZE <= locatorAt ? viewOf(source.read(at, END64_SIZE)) : null;
      if (record === null || record.getUint32(0, true) !== END64)
        return `its zip64 locator names byte ${at}, where there is no zip64 end record`;
      entries = Number(record.getBigUint64(32, true));
      size = Number(record.getBigUint64(40, true));
      start = Number(record.getBigUint64(48, true));
      endsAt = at;
    } else if (disks !== 0 || view.getUint16(8, true) !== entries) {
      return 'it spans several disks';
    }
    if (start + size !== endsAt)
      return `the directory of ${size} bytes at byte ${start} does not end at the end record (byte ${endsAt})`;
    if (entries * CENTRAL_SIZE > size)
      return `${entries} members do not fit into a directory of ${size} bytes`;
    return { entries, size, start, endsAt };
  }

  private readDirectory(directory: Directory): Map<string, ZipMember> {
    const { errors } = this;
    if (directory.entries > MAX_ZIP_MEMBERS || directory.size > MAX_ZIP_DIRECTORY)
      throw errors.fault(
        'too_large',
        'zip directory',
        `${directory.entries} members in ${directory.size} bytes, at most ${MAX_ZIP_MEMBERS} in ${MAX_ZIP_DIRECTORY}`,
      );
    const content = this.source.read(directory.start, directory.size);
    const view = viewOf(content);
    const members = new Map<string, ZipMember>();
    const spans: [number, number, string][] = [];
    let at = 0;
    for (let i = 0; i < directory.entries; i++) {
      const where = `zip directory, byte ${directory.start + at}`;
      if (at + CENTRAL_SIZE > directory.size || view.getUint32(at, true) !== CENTRAL)
        throw errors.fault('corrupt', where, `expected entry ${i + 1} of ${directory.entries}`);
      const nameLength = view.getUint16(at + 28, true);
      const extraLength = view.getUint16(at + 30, true);
      const next = at + CENTRAL_SIZE + nameLength + extraLength + view.getUint16(at + 32, true);
      if (next > directory.size) throw errors.fault('corrupt', where, 'the entry reaches past the directory');
      const name = this.nameOf(content.subarray(at + CENTRAL_SIZE, at + CENTRAL_SIZE + nameLength), where);
      if (members.has(name))
        throw errors.fault('corrupt', where, `the member ${quoted(name)} is there twice`);
      const entry = viewOf(content.subarray(at, next));
      const { member, localAt } = this.readMember(entry, name, nameLength, extraLength, directory, where);
      members.set(name, member);
      spans.push([localAt, member.start + member.packedSize, name]);
      at = next;
    }
    if (at !== directory.size)
      throw errors.fault(
        'corrupt',
        `zip directory, byte ${directory.start + at}`,
        'more bytes than the entries need',
      );
    spans.sort((a, b) => a[0] - b[0]);
    for (let i = 1; i < spans.length; i++)
      if (spans[i][0] < spans[i - 1][1])
        throw errors.fault(
          'corrupt',
          quoted(spans[i][2]),
          `it overlaps the member ${quoted(spans[i - 1][2])}`,
        );
    return members;
  }

  private nameOf(bytes: Uint8Array, where: string): string {
    let name: string;
    try {
      name = utf8.decode(bytes);
    } catch {
      throw this.errors.fault('corrupt', where, 'the name of a member is not UTF-8');
    }
    const isOutside =
      name.length === 0 ||
      name.startsWith('/') ||
      /^[A-Za-z]:/.test(name) ||
      // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused.
      /[\\\u0000-\u001f]/.test(name) ||
      name.split('/').some((part) => part === '..' || part === '.');
    if (isOutside)
      throw this.errors.fault(
        'corrupt',
        where,
        `the member name ${quoted(name)} is no path inside the archive`,
      );
    return name;
  }

  private readMember(
    entry: DataView,
    name: string,
    nameLength: number,
    extraLength: number,
    directory: Directory,
    where: string,
  ): { member: ZipMember; localAt: number } {
    const { errors } = this;
    const flags = entry.getUint16(8, true);
    const method = entry.getUint16(10, true);
    const crc = entry.getUint32(16, true);
    if (flags & (FLAG_ENCRYPTED | FLAG_STRONG))
      throw errors.fault('unsupported', quoted(name), 'it is encrypted', 'Decrypt the archive first.');
    if (flags & FLAG_PATCH || (method !== STORED && method !== DEFLATED))
      throw errors.fault(
        'unsupported',
        quoted(name),
        `compression method ${method}; stored (0) and deflated (8) can be read`,
      );
    const extra = CENTRAL_SIZE + nameLength;
    const [size, packedSize, localAt] = this.wide(
      [entry.getUint32(24, true), entry.getUint32(20, true), entry.getUint32(42, true)],
      entry,
      extra,
      extra + extraLength,
      where,
    );
    if (!Number.isSafeInteger(size + packedSize))
      throw errors.fault('corrupt', where, `${quoted(name)} claims ${size} bytes`);
    if (method === STORED && size !== packedSize)
      throw errors.fault(
        'corrupt',
        where,
        `${quoted(name)} is stored, but its two sizes differ (${packedSize}, ${size})`,
      );
    const fixed =
      localAt + LOCAL_SIZE <= directory.start ? viewOf(this.source.read(localAt, LOCAL_SIZE)) : null;
    if (fixed === null || fixed.getUint32(0, true) !== LOCAL)
      throw errors.fault('corrupt', where, `${quoted(name)} has no local header at byte ${localAt}`);
    const place = `local header of ${quoted(name)}, byte ${localAt}`;
    const localNameLength = fixed.getUint16(26, true);
    const localExtraLength = fixed.getUint16(28, true);
    const start = localAt + LOCAL_SIZE + localNameLength + localExtraLength;
    if (!(start + packedSize <= directory.start))
      throw errors.fault(
        'corrupt',
        place,
        `${packedSize} bytes from byte ${start} reach past the members (byte ${directory.start})`,
      );
    const rest = this.source.read(localAt + LOCAL_SIZE, localNameLength + localExtraLength);
    if (this.nameOf(rest.subarray(0, localNameLength), place) !== name)
      throw errors.fault('corrupt', place, 'it names another member than the directory');
    const localFlags = fixed.getUint16(6, true);
    if (fixed.getUint16(8, true) !== method || (localFlags ^ flags) & (FLAG_ENCRYPTED | FLAG_DESCRIPTOR))
      throw errors.fault('corrupt', place, 'its method or flags differ from the directory');
    const [localSize, localPacked] = this.wide(
      [fixed.getUint32(22, true), fixed.getUint32(18, true)],
      viewOf(rest),
      localNameLength,
      rest.length,
      place,
    );
    const localCrc = fixed.getUint32(14, true);
    const isLater = (flags & FLAG_DESCRIPTOR) !== 0;
    const agrees = (a: number, b: number): boolean => a === b || (isLater && a === 0);
    if (!agrees(localSize, size) || !agrees(localPacked, packedSize) || !agrees(localCrc, crc))
      throw errors.fault('corrupt', place, 'its sizes or checksum differ from the directory');
    return { member: { name, method, crc, packedSize, size, start }, localAt };
  }

  /** Replaces fields that are all ones by those of the zip64 extra field, which holds them in this order. */
  private wide(fields: readonly number[], view: DataView, from: number, to: number, where: string): number[] {
    if (!fields.includes(MAX_32)) return [...fields];
    const { errors } = this;
    for (let at = from; at + 4 <= to; ) {
      const end = at + 4 + view.getUint16(at + 2, true);
      if (end > to) break;
      if (view.getUint16(at, true) === ZIP64_FIELD) {
        let next = at + 4;
        return fields.map((value) => {
          if (value !== MAX_32) return value;
          if (next + 8 > end) throw errors.fault('corrupt', where, 'its zip64 field is too short');
          next += 8;
          return Number(view.getBigUint64(next - 8, true));
        });
      }
      at = end;
    }
    throw errors.fault('corrupt', where, 'a size is left to a zip64 field that is missing');
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
