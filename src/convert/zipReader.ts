import { crc32, inflateRawSync } from 'node:zlib';
import { systemCodeOf } from '../core/errors.js';
import { type CheckpointErrors, quoted } from './checkpointError.js';
import { FREE_INFLATED_BYTES, MAX_INFLATION, MAX_ZIP_MEMBERS } from './limits.js';

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

/**
 * A zip archive in memory, for reading only: nothing is ever extracted to a path. The central directory rules; local
 * headers have to agree with it. Stored and deflated members, zip64, data descriptors, comments. Refused: encryption,
 * other methods, two members of one name, names that leave the archive, overlapping members, several disks.
 */
export class ZipArchive {
  readonly members: ReadonlyMap<string, ZipMember>;
  private readonly view: DataView;
  private inflated = 0;

  constructor(
    private readonly bytes: Uint8Array,
    private readonly errors: CheckpointErrors,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.members = this.readDirectory(this.findDirectory());
  }

  /** The bytes of a member, its CRC checked; a view of the file where the member is stored. */
  read(member: ZipMember): Uint8Array {
    const packed = this.bytes.subarray(member.start, member.start + member.packedSize);
    const content = member.method === STORED ? packed : this.inflate(member, packed);
    if (crc32(content) !== member.crc)
      throw this.errors.fault('corrupt', quoted(member.name), 'the checksum (CRC-32) of its bytes is wrong');
    return content;
  }

  private inflate(member: ZipMember, packed: Uint8Array): Uint8Array {
    this.inflated += member.size;
    const limit = Math.max(FREE_INFLATED_BYTES, MAX_INFLATION * this.bytes.length);
    if (this.inflated > limit)
      throw this.errors.fault(
        'too_large',
        quoted(member.name),
        `it inflates to ${member.size} bytes; a file of ${this.bytes.length} bytes may inflate to ${limit}`,
      );
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
    const { bytes, view } = this;
    const lowest = Math.max(0, bytes.length - END_SIZE - 0xffff);
    let problem: string | undefined;
    for (let at = bytes.length - END_SIZE; at >= lowest; at--) {
      if (view.getUint32(at, true) !== END) continue;
      if (at + END_SIZE + view.getUint16(at + 20, true) !== bytes.length) continue;
      const directory = this.directoryOf(at);
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
    const { view } = this;
    const disks = view.getUint16(end + 4, true) | view.getUint16(end + 6, true);
    let entries = view.getUint16(end + 10, true);
    let size = view.getUint32(end + 12, true);
    let start = view.getUint32(end + 16, true);
    let endsAt = end;
    const locator = end - LOCATOR64_SIZE;
    const has64 = locator >= 0 && view.getUint32(locator, true) === LOCATOR64;
    if (has64) {
      const at = Number(view.getBigUint64(locator + 8, true));
      if (at + END64_SIZE > locator || view.getUint32(at, true) !== END64)
        return `its zip64 locator names byte ${at}, where there is no zip64 end record`;
      entries = Number(view.getBigUint64(at + 32, true));
      size = Number(view.getBigUint64(at + 40, true));
      start = Number(view.getBigUint64(at + 48, true));
      endsAt = at;
    } else if (disks !== 0 || view.getUint16(end + 8, true) !== entries) {
      return 'it spans several disks';
    }
    if (start + size !== endsAt)
      return `the directory of ${size} bytes at byte ${start} does not end at the end record (byte ${endsAt})`;
    if (entries * CENTRAL_SIZE > size)
      return `${entries} members do not fit into a directory of ${size} bytes`;
    return { entries, size, start, endsAt };
  }

  private readDirectory(directory: Directory): Map<string, ZipMember> {
    const { view, errors } = this;
    if (directory.entries > MAX_ZIP_MEMBERS)
      throw errors.fault(
        'too_large',
        'zip directory',
        `${directory.entries} members, at most ${MAX_ZIP_MEMBERS}`,
      );
    const members = new Map<string, ZipMember>();
    const spans: [number, number, string][] = [];
    let at = directory.start;
    for (let i = 0; i < directory.entries; i++) {
      const where = `zip directory, byte ${at}`;
      if (at + CENTRAL_SIZE > directory.endsAt || view.getUint32(at, true) !== CENTRAL)
        throw errors.fault('corrupt', where, `expected entry ${i + 1} of ${directory.entries}`);
      const nameLength = view.getUint16(at + 28, true);
      const extraLength = view.getUint16(at + 30, true);
      const next = at + CENTRAL_SIZE + nameLength + extraLength + view.getUint16(at + 32, true);
      if (next > directory.endsAt)
        throw errors.fault('corrupt', where, 'the entry reaches past the directory');
      const name = this.nameAt(at + CENTRAL_SIZE, nameLength, where);
      if (members.has(name))
        throw errors.fault('corrupt', where, `the member ${quoted(name)} is there twice`);
      const { member, localAt } = this.readMember(at, name, nameLength, extraLength, directory, where);
      members.set(name, member);
      spans.push([localAt, member.start + member.packedSize, name]);
      at = next;
    }
    if (at !== directory.endsAt)
      throw errors.fault('corrupt', `zip directory, byte ${at}`, 'more bytes than the entries need');
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

  private nameAt(at: number, length: number, where: string): string {
    let name: string;
    try {
      name = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
        this.bytes.subarray(at, at + length),
      );
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
    at: number,
    name: string,
    nameLength: number,
    extraLength: number,
    directory: Directory,
    where: string,
  ): { member: ZipMember; localAt: number } {
    const { view, errors } = this;
    const flags = view.getUint16(at + 8, true);
    const method = view.getUint16(at + 10, true);
    const crc = view.getUint32(at + 16, true);
    if (flags & (FLAG_ENCRYPTED | FLAG_STRONG))
      throw errors.fault('unsupported', quoted(name), 'it is encrypted', 'Decrypt the archive first.');
    if (flags & FLAG_PATCH || (method !== STORED && method !== DEFLATED))
      throw errors.fault(
        'unsupported',
        quoted(name),
        `compression method ${method}; stored (0) and deflated (8) can be read`,
      );
    const extra = at + CENTRAL_SIZE + nameLength;
    const [size, packedSize, localAt] = this.wide(
      [view.getUint32(at + 24, true), view.getUint32(at + 20, true), view.getUint32(at + 42, true)],
      extra,
      extra + extraLength,
      where,
    );
    if (method === STORED && size !== packedSize)
      throw errors.fault(
        'corrupt',
        where,
        `${quoted(name)} is stored, but its two sizes differ (${packedSize}, ${size})`,
      );
    if (!(localAt + LOCAL_SIZE <= directory.start) || view.getUint32(localAt, true) !== LOCAL)
      throw errors.fault('corrupt', where, `${quoted(name)} has no local header at byte ${localAt}`);
    const local = `local header of ${quoted(name)}, byte ${localAt}`;
    const localNameLength = view.getUint16(localAt + 26, true);
    const localExtraLength = view.getUint16(localAt + 28, true);
    const start = localAt + LOCAL_SIZE + localNameLength + localExtraLength;
    if (!(start + packedSize <= directory.start))
      throw errors.fault(
        'corrupt',
        local,
        `${packedSize} bytes from byte ${start} reach past the members (byte ${directory.start})`,
      );
    if (this.nameAt(localAt + LOCAL_SIZE, localNameLength, local) !== name)
      throw errors.fault('corrupt', local, 'it names another member than the directory');
    const localFlags = view.getUint16(localAt + 6, true);
    if (
      view.getUint16(localAt + 8, true) !== method ||
      (localFlags ^ flags) & (FLAG_ENCRYPTED | FLAG_DESCRIPTOR)
    )
      throw errors.fault('corrupt', local, 'its method or flags differ from the directory');
    const localExtra = localAt + LOCAL_SIZE + localNameLength;
    const [localSize, localPacked] = this.wide(
      [view.getUint32(localAt + 22, true), view.getUint32(localAt + 18, true)],
      localExtra,
      localExtra + localExtraLength,
      local,
    );
    const localCrc = view.getUint32(localAt + 14, true);
    const isLater = (flags & FLAG_DESCRIPTOR) !== 0;
    const agrees = (a: number, b: number): boolean => a === b || (isLater && a === 0);
    if (!agrees(localSize, size) || !agrees(localPacked, packedSize) || !agrees(localCrc, crc))
      throw errors.fault('corrupt', local, 'its sizes or checksum differ from the directory');
    return { member: { name, method, crc, packedSize, size, start }, localAt };
  }

  /** Replaces fields that are all ones by those of the zip64 extra field, which holds them in this order. */
  private wide(fields: readonly number[], from: number, to: number, where: string): number[] {
    if (!fields.includes(MAX_32)) return [...fields];
    const { view, errors } = this;
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
