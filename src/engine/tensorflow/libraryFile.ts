import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { basename } from 'node:path';
import { FactError, messageOf } from '../../core/errors.js';

/** ELF header of a 64-bit little-endian file (System V ABI, "ELF Header"). */
const ELF_HEADER_BYTES = 64;
const ELF_MAGIC = 0x7f454c46;
const ELF_64_LITTLE = 0x0201;
const ELF_SHARED_OBJECT = 3;
/** e_machine by Node's name of the processor. */
const ELF_MACHINES: Readonly<Record<string, number>> = { x64: 62, arm64: 183 };
const ELF_NAMES: Readonly<Record<number, string>> = {
  3: 'x86 (32 bit)',
  40: 'arm (32 bit)',
  62: 'x64',
  183: 'arm64',
};
/** Mach-O of 64 bits (mach-o/loader.h): magic and processor. */
const MACH_HEADER_BYTES = 32;
const MACH_MAGIC = 0xfeedfacf;
const MACH_MACHINES: Readonly<Record<string, number>> = { x64: 0x01000007, arm64: 0x0100000c };

/** What is wrong with a library file, or null. Looks at header and size only. */
function faultOf(header: Buffer, size: number): string | null {
  if (process.platform === 'darwin') {
    if (header.length < MACH_HEADER_BYTES || header.readUInt32LE(0) !== MACH_MAGIC)
      return 'it is no library of macOS';
    return header.readUInt32LE(4) === MACH_MACHINES[process.arch]
      ? null
      : `it is not made for ${process.arch}`;
  }
  if (header.length < ELF_HEADER_BYTES || header.readUInt32BE(0) !== ELF_MAGIC)
    return 'it is no library of Linux';
  if (header.readUInt16BE(4) !== ELF_64_LITTLE) return 'it is not made for 64-bit processors like this one';
  if (header.readUInt16LE(16) !== ELF_SHARED_OBJECT) return 'it is no shared library';
  const machine = header.readUInt16LE(18);
  if (machine !== ELF_MACHINES[process.arch])
    return `it is made for ${ELF_NAMES[machine] ?? `processor ${machine}`}, this machine is ${process.arch}`;
  // The table of sections is the last thing that linkers write: a shorter file was cut off.
  const end = Number(header.readBigUInt64LE(40)) + header.readUInt16LE(58) * header.readUInt16LE(60);
  return size < end ? `it is cut off: ${size} bytes, its header needs ${end}` : null;
}

/**
 * Refuses a library that would end the process or fail obscurely when it is loaded: missing, cut off, made for another
 * processor, or something else altogether. Throws FactError E_ENGINE_LIBRARY.
 */
export function checkLibraryFile(path: string, remedy: string): void {
  let fault: string | null;
  try {
    const handle = openSync(path, 'r');
    try {
      const header = Buffer.alloc(ELF_HEADER_BYTES);
      const length = readSync(handle, header, 0, ELF_HEADER_BYTES, 0);
      fault = faultOf(header.subarray(0, length), fstatSync(handle).size);
    } finally {
      closeSync(handle);
    }
  } catch (error) {
    fault = messageOf(error);
  }
  if (fault === null) return;
  throw new FactError({
    code: 'E_ENGINE_LIBRARY',
    message: `engine tensorflow: ${basename(path)} is not usable: ${fault} (${path})`,
    remedy,
  });
}
