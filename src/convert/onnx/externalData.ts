import { createHash } from 'node:crypto';
import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import type onnxProto from 'onnx-proto';
import { systemCodeOf } from '../../core/errors.js';
import { FileSource } from '../byteSource.js';
import { type CheckpointErrors, quoted } from '../checkpointError.js';

/** Where a tensor's numbers lie in a file beside the model. */
export interface ExternalRange {
  /** Length that the model names; null: that of the tensor. */
  readonly length: number | null;
  /** Throws where so many bytes do not lie within the file. */
  checkEnd(length: number): void;
  read(length: number): Uint8Array;
}

type Entry = onnxProto.onnx.IStringStringEntryProto;

const KNOWN = ['location', 'offset', 'length', 'checksum'];
const SHA1 = /^[0-9a-f]{40}$/i;
const CHECK_BYTES = 2 ** 20;
const MAX_FILES = 10_000;

/** The files that an ONNX model keeps its numbers in: plain files in the model's folder or below it, nothing else. */
export class ExternalFiles {
  private readonly opened = new Map<string, FileSource>();
  private readonly checked = new Set<string>();

  /** @param folder that of the model file. */
  constructor(
    private readonly folder: string,
    private readonly errors: CheckpointErrors,
  ) {}

  /** The file of that name. Throws E_CKPT_UNSAFE for a name that leaves the folder, a link, or no plain file. */
  file(location: string, where: string): FileSource {
    const known = this.opened.get(location);
    if (known !== undefined) return known;
    const unsafe = (what: string): Error =>
      this.errors.fault(
        'unsafe',
        where,
        `its numbers are in ${quoted(location)}, ${what}`,
        'Numbers are read only from plain files in the folder of the model, or below it.',
      );
    const parts = location.split('/');
    const isOutside =
      location.length === 0 ||
      location.startsWith('/') ||
      /^[A-Za-z]:/.test(location) ||
      // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused.
      /[\\\u0000-\u001f]/.test(location) ||
      parts.some((part) => part === '' || part === '.' || part === '..');
    if (isOutside) throw unsafe('which is no path below the folder of the model');
    if (this.opened.size >= MAX_FILES)
      throw this.errors.fault('too_large', where, `more than ${MAX_FILES} files beside the model`);
    let path = this.folder;
    parts.forEach((part, i) => {
      path = join(path, part);
      const status = this.statusOf(path, where);
      if (status.isSymbolicLink()) throw unsafe('which is a symbolic link, or lies behind one');
      const isLast = i === parts.length - 1;
      if (isLast ? !status.isFile() : !status.isDirectory()) throw unsafe('which is no plain file');
      if (isLast && status.nlink > 1) throw unsafe('which has another name elsewhere (a hard link)');
    });
    const source = new FileSource(path, 'a file of weights beside an ONNX model');
    this.opened.set(location, source);
    return source;
  }

  private statusOf(path: string, where: string): ReturnType<typeof lstatSync> & object {
    try {
      return lstatSync(path);
    } catch (error) {
      if (systemCodeOf(error) === undefined) throw error;
      throw this.errors.fault(
        'truncated',
        where,
        `its numbers are in ${quoted(path)}, which is not there`,
        'Keep the files of weights beside the .onnx file.',
      );
    }
  }

  /** Compares a file with its SHA-1, once. Throws E_CKPT_CORRUPT. */
  check(location: string, checksum: string, where: string): void {
    const key = `${checksum} ${location}`;
    if (this.checked.has(key)) return;
    const source = this.file(location, where);
    const hash = createHash('sha1');
    for (let at = 0; at < source.size; at += CHECK_BYTES)
      hash.update(source.read(at, Math.min(CHECK_BYTES, source.size - at)));
    if (hash.digest('hex') !== checksum.toLowerCase())
      throw this.errors.fault('corrupt', where, `the checksum of ${quoted(location)} is wrong`);
    this.checked.add(key);
  }
}

/** Reads the entries of `external_data`. Throws E_CKPT_UNSAFE, E_CKPT_CORRUPT, E_CKPT_TRUNCATED. */
export function externalRange(
  entries: readonly Entry[],
  where: string,
  files: ExternalFiles | null,
  errors: CheckpointErrors,
): ExternalRange {
  const fail = (what: string): Error => errors.fault('corrupt', where, what);
  const facts = new Map<string, string>();
  for (const { key, value } of entries) {
    if (key == null || value == null || !KNOWN.includes(key) || facts.has(key))
      throw fail(`an unknown or repeated fact about its file: ${quoted(String(key))}`);
    facts.set(key, value);
  }
  const whole = (key: string): number | null => {
    const text = facts.get(key);
    if (text === undefined) return null;
    const value = /^[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN;
    if (!Number.isSafeInteger(value)) throw fail(`its ${key} is ${quoted(text)}, expected a whole number`);
    return value;
  };
  const location = facts.get('location');
  if (location === undefined) throw fail('it is in another file, but names none');
  const offset = whole('offset') ?? 0;
  const length = whole('length');
  const checksum = facts.get('checksum');
  if (checksum !== undefined && !SHA1.test(checksum)) throw fail(`its checksum is ${quoted(checksum)}`);
  if (files === null)
    throw errors.fault('unsupported', where, `its numbers are in another file, ${quoted(location)}`);
  const source = files.file(location, where);
  return {
    length,
    checkEnd: (needed) => {
      if (!(offset + needed <= source.size))
        throw errors.fault(
          'truncated',
          where,
          `${needed} bytes from byte ${offset} of ${quoted(location)}, which has ${source.size}`,
        );
    },
    read: (needed) => {
      if (checksum !== undefined) files.check(location, checksum, where);
      return source.read(offset, needed);
    },
  };
}
