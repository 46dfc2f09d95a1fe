import { CheckpointErrors } from '../../src/convert/checkpointError.js';
import { ZipArchive } from '../../src/convert/pytorch/zipReader.js';
import { encodeZip } from '../../src/convert/pytorch/zipWriter.js';
import type { Random } from '../../src/core/random.js';

/** Values at the edges of number types, in 1 to 8 bytes. */
const EDGES = [
  0n,
  1n,
  0x7fn,
  0x80n,
  0xffn,
  0x7fffn,
  0xffffn,
  0x7fffffffn,
  0x80000000n,
  0xffffffffn,
  2n ** 53n,
  2n ** 63n - 1n,
  2n ** 63n,
  2n ** 64n - 1n,
];
/** Pickle opcodes, so that mutated streams stay readable for longer. */
const OPCODES = [...'().012BCGJKMNQRTUX]abcdehjloqrstu}'].map((c) => c.charCodeAt(0));
for (let code = 0x80; code <= 0x98; code++) OPCODES.push(code);

/** Changes some bytes: flips, edge values, opcodes, cuts, copies, deletions, insertions. */
export function mutateBytes(bytes: Uint8Array, random: Random): Uint8Array {
  let out = Buffer.from(bytes);
  const count = 1 + random.integer(random.next() < 0.7 ? 2 : 8);
  for (let i = 0; i < count && out.length > 0; i++) {
    const at = random.integer(out.length);
    switch (random.integer(9)) {
      case 0:
        out[at] ^= 1 << random.integer(8);
        break;
      case 1:
        out[at] = random.integer(256);
        break;
      case 2:
        out[at] = OPCODES[random.integer(OPCODES.length)];
        break;
      case 3: {
        const edge = Buffer.alloc(8);
        edge.writeBigUInt64LE(EDGES[random.integer(EDGES.length)]);
        edge.copy(out, at, 0, 1 << random.integer(4));
        break;
      }
      case 4:
        out = out.subarray(0, at);
        break;
      case 5: {
        const length = Math.min(out.length - at, 1 + random.integer(64));
        out = Buffer.concat([out.subarray(0, at), out.subarray(at + length)]);
        break;
      }
      case 6: {
        const length = Math.min(out.length - at, 1 + random.integer(64));
        const to = random.integer(out.length);
        out = Buffer.concat([out.subarray(0, to), out.subarray(at, at + length), out.subarray(to)]);
        break;
      }
      case 7: {
        const piece = Buffer.from({ length: 1 + random.integer(4) } as ArrayLike<number>).map(
          () => OPCODES[random.integer(OPCODES.length)],
        );
        out = Buffer.concat([out.subarray(0, at), piece, out.subarray(at)]);
        break;
      }
      default: {
        const length = Math.min(out.length - at, 1 + random.integer(16));
        out.copyWithin(random.integer(out.length), at, at + length);
      }
    }
  }
  return new Uint8Array(out);
}

/** Changes one member of a zip archive and writes the archive again, so that its checksums hold; null where it cannot be read. */
function mutateZip(bytes: Uint8Array, random: Random): Uint8Array | null {
  try {
    const archive = new ZipArchive(bytes, new CheckpointErrors('fuzz'));
    const entries = [...archive.members.values()].map((member) => ({
      name: member.name,
      bytes: archive.read(member),
    }));
    const total = entries.reduce((sum, entry) => sum + entry.bytes.length, 0);
    if (entries.length === 0 || total > 2 ** 20) return null;
    const pkl = entries.findIndex(({ name }) => name.endsWith('data.pkl'));
    const target = pkl >= 0 && random.next() < 0.85 ? pkl : random.integer(entries.length);
    entries[target] = { name: entries[target].name, bytes: mutateBytes(entries[target].bytes, random) };
    if (random.next() < 0.05) entries.push(entries[random.integer(entries.length)]);
    if (random.next() < 0.05) entries.splice(random.integer(entries.length), 1);
    return new Uint8Array(Buffer.concat([...encodeZip(entries)]));
  } catch {
    return null;
  }
}

/** Changes the fields of local headers and the directory, which stand at signatures. */
function mutateZipFields(bytes: Uint8Array, random: Random): Uint8Array {
  const out = Buffer.from(bytes);
  const signatures: number[] = [];
  for (let at = out.indexOf('PK'); at >= 0 && signatures.length < 64; at = out.indexOf('PK', at + 2))
    signatures.push(at);
  if (signatures.length === 0) return new Uint8Array(out);
  const at = signatures[random.integer(signatures.length)] + 4 + random.integer(42);
  const edge = Buffer.alloc(8);
  edge.writeBigUInt64LE(
    random.next() < 0.5 ? EDGES[random.integer(EDGES.length)] : BigInt(random.integer(out.length + 1)),
  );
  edge.copy(out, Math.min(at, out.length - 1), 0, 1 << random.integer(4));
  return new Uint8Array(out);
}

/** Changes the JSON header of a safetensors file: numbers, names, parts; its length is corrected. */
function mutateHeader(bytes: Uint8Array, random: Random): Uint8Array {
  const length = Number(Buffer.from(bytes).readBigUInt64LE(0));
  if (length > bytes.length - 8) return mutateBytes(bytes, random);
  let header = Buffer.from(bytes.subarray(8, 8 + length)).toString('latin1');
  const numbers = [...header.matchAll(/[0-9]+/g)];
  const number = numbers[random.integer(Math.max(1, numbers.length))];
  const values = [
    '0',
    '-1',
    '1e308',
    '0.5',
    '9007199254740993',
    '18446744073709551616',
    'null',
    '[]',
    '{}',
    '"x"',
    String(random.integer(64)),
  ];
  if (number !== undefined && random.next() < 0.6)
    header = `${header.slice(0, number.index)}${values[random.integer(values.length)]}${header.slice(number.index + number[0].length)}`;
  else header = Buffer.from(mutateBytes(Buffer.from(header, 'latin1'), random)).toString('latin1');
  const text = Buffer.from(header, 'latin1');
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(text.length));
  return new Uint8Array(Buffer.concat([prefix, text, bytes.subarray(8 + length)]));
}

/** A mutant of a checkpoint, by byte or by structure. */
export function mutate(bytes: Uint8Array, name: string, random: Random): Uint8Array {
  const choice = random.next();
  if (bytes.length === 0 || choice < 0.3) return mutateBytes(bytes, random);
  if (name.endsWith('.safetensors') && bytes.length >= 8) return mutateHeader(bytes, random);
  if (bytes[0] !== 0x50) return mutateBytes(bytes, random);
  return (choice < 0.85 ? mutateZip(bytes, random) : null) ?? mutateZipFields(bytes, random);
}
