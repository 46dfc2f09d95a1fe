import { deflateRawSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { CheckpointErrors } from '../../../src/convert/checkpointError.js';
import { ZipArchive } from '../../../src/convert/pytorch/zipReader.js';
import { encodeZip } from '../../../src/convert/pytorch/zipWriter.js';

const errors = new CheckpointErrors('test.zip');
const open = (bytes: Uint8Array): ZipArchive => new ZipArchive(bytes, errors);
const zip = (...names: string[]): Buffer =>
  Buffer.concat([...encodeZip(names.map((name, i) => ({ name, bytes: Uint8Array.of(i, i, i) })))]);
/** Offset of the n-th directory entry. */
function entryAt(bytes: Buffer, n: number): number {
  let at = bytes.indexOf('PK\x01\x02', 0, 'latin1');
  for (let i = 0; i < n; i++) at = bytes.indexOf('PK\x01\x02', at + 1, 'latin1');
  return at;
}
const refused = (code: string, text: string) =>
  expect.objectContaining({ code: `E_CKPT_${code}`, message: expect.stringContaining(text) });

describe('the zip reader', () => {
  it('reads what the writer writes, data at multiples of 64', () => {
    const archive = open(new Uint8Array(zip('a/b', 'é 漢')));
    expect([...archive.members.keys()]).toEqual(['a/b', 'é 漢']);
    for (const member of archive.members.values()) expect(member.start % 64).toBe(0);
    const second = archive.members.get('é 漢');
    expect(second === undefined ? null : [...archive.read(second)]).toEqual([1, 1, 1]);
  });

  it.each(['../a', 'a/../b', '/a', 'C:\\a', 'c:a', 'a\\b', './a', 'a\u0000b', ''])(
    'refuses the member name %j',
    (name) => {
      expect(() => open(new Uint8Array(zip(name)))).toThrowError(refused('CORRUPT', 'no path inside'));
    },
  );

  it('refuses members that overlap', () => {
    const bytes = zip('a', 'b');
    const first = bytes.readUInt32LE(entryAt(bytes, 0) + 42);
    const second = bytes.readUInt32LE(entryAt(bytes, 1) + 42);
    // The first member's local header grows over the second: its extra field now covers it.
    bytes.writeUInt16LE(second - first, first + 28);
    expect(() => open(new Uint8Array(bytes))).toThrowError(refused('CORRUPT', 'overlaps'));
  });

  it.each([
    ['flags', 6, 1],
    ['method', 8, 8],
    ['checksum', 14, 1],
    ['size', 18, 9],
    ['name', 30, 0x7a],
  ])('refuses a local header whose %s differs from the directory', (_what, offset, value) => {
    const bytes = zip('a');
    bytes[offset] = value;
    expect(() => open(new Uint8Array(bytes))).toThrowError(refused('CORRUPT', 'local header'));
  });

  it('refuses a second, hidden directory: the end record has to follow its directory', () => {
    const bytes = Buffer.concat([zip('a'), zip('b')]);
    expect(() => open(new Uint8Array(bytes))).toThrowError(refused('CORRUPT', 'does not end at'));
  });

  it('limits what a file may inflate to', () => {
    const zeros = deflateRawSync(Buffer.alloc(40 * 2 ** 20));
    const bytes = Buffer.concat([...encodeZip([{ name: 'a', bytes: zeros }])]);
    const at = entryAt(bytes, 0);
    for (const [header, offset] of [
      [0, 8],
      [at, 10],
    ])
      bytes.writeUInt16LE(8, header + offset);
    for (const [header, offset] of [
      [0, 22],
      [at, 24],
    ])
      bytes.writeUInt32LE(40 * 2 ** 20, header + offset);
    const archive = open(new Uint8Array(bytes));
    const member = archive.members.get('a');
    expect(() => member && archive.read(member)).toThrowError(refused('TOO_LARGE', 'inflates'));
  });

  it('reads zip64 archives: a size, an offset and a count that 32 and 16 bits do not hold', () => {
    const bytes = zip('a', 'b');
    const archive = open(new Uint8Array(asZip64(bytes)));
    const second = archive.members.get('b');
    expect(second === undefined ? null : [...archive.read(second)]).toEqual([1, 1, 1]);
  });

  it('reads the zip64 end record that the writer makes for 65,535 members and more', () => {
    const many = Array.from({ length: 66_000 }, (_, i) => ({ name: `m${i}`, bytes: Uint8Array.of(i & 255) }));
    const archive = open(new Uint8Array(Buffer.concat([...encodeZip(many)])));
    expect(archive.members.size).toBe(66_000);
    const last = archive.members.get('m65999');
    expect(last === undefined ? null : [...archive.read(last)]).toEqual([65_999 & 255]);
  });

  it('reads a part of a member, and checks the whole of it first', () => {
    const bytes = Buffer.concat([
      ...encodeZip([{ name: 'a', bytes: Uint8Array.from({ length: 100 }, (_, i) => i) }]),
    ]);
    const archive = open(new Uint8Array(bytes));
    const member = archive.members.get('a');
    if (member === undefined) throw new Error('no member');
    expect([...archive.readPart(member, 10, 3)]).toEqual([10, 11, 12]);
    bytes[member.start + 90] ^= 1;
    const damaged = open(new Uint8Array(bytes));
    const again = damaged.members.get('a');
    expect(() => again && damaged.readPart(again, 10, 3)).toThrowError(refused('CORRUPT', 'checksum'));
  });
});

/** The same archive with every size and offset of its directory, and its end, left to zip64. */
function asZip64(bytes: Buffer): Buffer {
  const end = bytes.length - 22;
  const start = bytes.readUInt32LE(end + 16);
  const entries: Buffer[] = [];
  for (let at = start; at < end; ) {
    const name = bytes.readUInt16LE(at + 28);
    const next = at + 46 + name + bytes.readUInt16LE(at + 30);
    const entry = Buffer.concat([bytes.subarray(at, at + 46 + name), Buffer.alloc(28)]);
    entry.writeUInt16LE(28, 30);
    const field = 46 + name;
    entry.writeUInt16LE(1, field);
    entry.writeUInt16LE(24, field + 2);
    [24, 20, 42].forEach((offset, i) => {
      entry.writeBigUInt64LE(BigInt(bytes.readUInt32LE(at + offset)), field + 4 + 8 * i);
      entry.writeUInt32LE(0xffffffff, offset);
    });
    entries.push(entry);
    at = next;
  }
  const directory = Buffer.concat(entries);
  const tail = Buffer.alloc(56 + 20 + 22);
  tail.writeUInt32LE(0x06064b50, 0);
  tail.writeBigUInt64LE(44n, 4);
  tail.writeBigUInt64LE(BigInt(entries.length), 24);
  tail.writeBigUInt64LE(BigInt(entries.length), 32);
  tail.writeBigUInt64LE(BigInt(directory.length), 40);
  tail.writeBigUInt64LE(BigInt(start), 48);
  tail.writeUInt32LE(0x07064b50, 56);
  tail.writeBigUInt64LE(BigInt(start + directory.length), 64);
  tail.writeUInt32LE(1, 72);
  tail.writeUInt32LE(0x06054b50, 76);
  tail.writeUInt16LE(0xffff, 84);
  tail.writeUInt16LE(0xffff, 86);
  tail.writeUInt32LE(0xffffffff, 88);
  tail.writeUInt32LE(0xffffffff, 92);
  return Buffer.concat([bytes.subarray(0, start), directory, tail]);
}
