import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { CheckpointErrors } from '../../src/convert/checkpointError.js';
import { readCheckpoint } from '../../src/convert/readCheckpoint.js';
import { ZipArchive } from '../../src/convert/zipReader.js';
import { encodeZip } from '../../src/convert/zipWriter.js';

const errors = new CheckpointErrors('test.zip');
const open = (bytes: Uint8Array): ZipArchive => new ZipArchive(bytes, errors);
const zip = (...names: string[]): Buffer =>
  Buffer.concat(encodeZip(names.map((name, i) => ({ name, bytes: Uint8Array.of(i, i, i) }))));
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
    const bytes = Buffer.concat(encodeZip([{ name: 'a', bytes: zeros }]));
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

  it('refuses a file above the largest size without reading it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'fact-large-'));
    try {
      writeFileSync(join(folder, 'a.pth'), 'PK');
      truncateSync(join(folder, 'a.pth'), 2 ** 31);
      const before = process.memoryUsage().arrayBuffers;
      await expect(readCheckpoint(join(folder, 'a.pth'))).rejects.toThrowError(
        refused('TOO_LARGE', '2147483648'),
      );
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 24);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
