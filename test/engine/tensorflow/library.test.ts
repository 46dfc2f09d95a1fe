import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { FactError } from '../../../src/core/errors.js';
import { checkLibraryFile } from '../../../src/engine/tensorflow/libraryFile.js';
import { findLibrary, installFolder, LIBRARY_NAMES } from '../../../src/engine/tensorflow/libraryPlace.js';
import { openNativeBinding } from '../../../src/engine/tensorflow/nativeBinding.js';
import { checkVersion } from '../../../src/engine/tensorflow/version.js';
import { otherLibrary } from './otherLibrary.js';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fact-library-'));
  return () => rmSync(folder, { recursive: true, force: true });
});

const OTHER = otherLibrary();
const isLinux64 = process.platform === 'linux' && process.arch === 'x64';

/** The header of a 64-bit shared library for Linux whose table of sections ends at `end`. */
function header(machine: number, end = 64, kind = 3): Buffer {
  const bytes = Buffer.alloc(64);
  bytes.write('7f454c460201', 'hex');
  bytes.writeUInt16LE(kind, 16);
  bytes.writeUInt16LE(machine, 18);
  bytes.writeBigUInt64LE(BigInt(end - 64), 40);
  bytes.writeUInt16LE(64, 58);
  bytes.writeUInt16LE(1, 60);
  return bytes;
}

function refused(content: Uint8Array | string): string {
  const path = join(folder, 'lib.so');
  writeFileSync(path, content);
  try {
    checkLibraryFile(path, 'do this');
  } catch (error) {
    const { code, message, remedy } = error as FactError;
    expect([code, remedy]).toEqual(['E_ENGINE_LIBRARY', 'do this']);
    return message;
  }
  return '';
}

describe.runIf(isLinux64)('a library file', () => {
  it('for another processor, cut off, or of another kind is refused with what it is', () => {
    expect(refused(header(183))).toContain('made for arm64, this machine is x64');
    expect(refused(header(40))).toContain('arm (32 bit)');
    expect(refused(header(62, 5000))).toContain('cut off: 64 bytes, its header needs 5000');
    expect(refused(header(62, 64, 2))).toContain('no shared library');
    expect(refused('')).toContain('no library of Linux');
    expect(refused('#!/bin/sh')).toContain('no library of Linux');
    const small = header(62);
    small[4] = 1;
    expect(refused(small)).toContain('64-bit');
    expect(refused(header(62))).toBe('');
  });

  it('that is not there is refused', () => {
    expect(() => checkLibraryFile(join(folder, 'none'), 'r')).toThrow(
      expect.objectContaining({ code: 'E_ENGINE_LIBRARY', message: expect.stringContaining('ENOENT') }),
    );
  });
});

describe('a folder of libraries', () => {
  const place = () => ({ folder, remedy: 'fetch it' });

  it.skipIf(OTHER === null)(
    'that are not TensorFlow is refused by the first function that is missing',
    async () => {
      for (const name of LIBRARY_NAMES) copyFileSync(OTHER as string, join(folder, name));
      await expect(openNativeBinding(place(), 1)).rejects.toMatchObject({
        code: 'E_ENGINE_LIBRARY',
        message: expect.stringContaining('it has no function TF_Version'),
        remedy: 'fetch it',
      });
    },
  );

  it.skipIf(OTHER === null || !isLinux64)('that were cut off is refused before they are loaded', async () => {
    const whole = readFileSync(OTHER as string);
    for (const name of LIBRARY_NAMES) writeFileSync(join(folder, name), whole.subarray(0, whole.length >> 1));
    await expect(openNativeBinding(place(), 1)).rejects.toMatchObject({
      code: 'E_ENGINE_LIBRARY',
      message: expect.stringContaining('cut off'),
    });
  });

  it('of another version is refused', () => {
    for (const version of ['1.15.0', '2.14.1', '2.22.0', '3.0.0', 'what'])
      expect(() => checkVersion(version, place())).toThrow(
        expect.objectContaining({ code: 'E_ENGINE_LIBRARY', message: expect.stringContaining(version) }),
      );
    for (const version of ['2.15.1', '2.18.1', '2.21.0'])
      expect(() => checkVersion(version, place())).not.toThrow();
  });

  it('is looked for where FACT_LIBTENSORFLOW says, else where it was installed', () => {
    const missing = expect.objectContaining({ code: 'E_ENGINE_MISSING' });
    expect(() => findLibrary({ FACT_HOME: folder })).toThrow(missing);
    expect(() => findLibrary({ FACT_HOME: folder, FACT_LIBTENSORFLOW: folder })).toThrow(missing);
    for (const name of LIBRARY_NAMES) writeFileSync(join(folder, name), '');
    expect(findLibrary({ FACT_LIBTENSORFLOW: folder }).folder).toBe(folder);
    expect(installFolder('gpu', { FACT_HOME: folder })).toBe(
      join(folder, 'engines', 'tensorflow-2.18.1-gpu'),
    );
  });
});
