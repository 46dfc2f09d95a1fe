import { describe, expect, it } from 'vitest';
import { DTYPES, type NamedTensor } from '../../src/convert/dtypes.js';
import { parseCheckpoint } from '../../src/convert/readCheckpoint.js';
import { encodeSafetensors, readSafetensors } from '../../src/convert/safetensors.js';

/** A file of this header text and data. */
function fileOf(header: string | Uint8Array, data: number): Uint8Array {
  const text = Buffer.from(header);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return new Uint8Array(Buffer.concat([length, text, Buffer.alloc(data, 7)]));
}

function read(header: string | Uint8Array, data: number): NamedTensor[] {
  return readSafetensors(fileOf(header, data), 'test.safetensors').tensors;
}

const one = (entry: string): string => `{"a":${entry}}`;

describe('safetensors', () => {
  it('writes and reads every element type of the format, names and metadata unchanged', () => {
    const tensors = DTYPES.filter((facts) => facts.safetensors !== null).map((facts, i): NamedTensor => {
      const bytes = Uint8Array.from({ length: facts.bits }, (_, b) => (b * 37 + i) & 0xff); // 8 elements
      return { name: `layer.${i}.é"\\\n`, dtype: facts.name, shape: [2, 4], bytes };
    });
    tensors.push({ name: '__proto__', dtype: 'float32', shape: [], bytes: new Uint8Array([1, 2, 3, 4]) });
    tensors.push({ name: '', dtype: 'int64', shape: [3, 0], bytes: new Uint8Array(0) });
    const metadata = new Map([
      ['format', 'pt'],
      ['constructor', '漢'],
    ]);
    const file = new Uint8Array(Buffer.concat([...encodeSafetensors(tensors, metadata)]));
    const back = readSafetensors(file, 'test');
    expect(back.tensors).toEqual(tensors);
    expect([...back.metadata]).toEqual([...metadata]);
  });

  it('begins the data of each tensor at a multiple of its element size', () => {
    const bytes = (n: number): Uint8Array => new Uint8Array(n);
    const file = Buffer.concat([
      ...encodeSafetensors([
        { name: 'a', dtype: 'uint8', shape: [3], bytes: bytes(3) },
        { name: 'b', dtype: 'float64', shape: [1], bytes: bytes(8) },
        { name: 'c', dtype: 'float32', shape: [1], bytes: bytes(4) },
      ]),
    ]);
    const view = new Uint8Array(new ArrayBuffer(file.length));
    view.set(file);
    for (const { name, bytes: data } of readSafetensors(view, 'test').tensors)
      expect(data.byteOffset % ({ a: 1, b: 8, c: 4 }[name] ?? 1)).toBe(0);
  });

  it('refuses to write complex32, which the format lacks, and a name that is there twice', () => {
    const tensor: NamedTensor = { name: 'a', dtype: 'complex32', shape: [1], bytes: new Uint8Array(4) };
    expect(() => encodeSafetensors([tensor])).toThrowError(/no complex32/);
    const twice: NamedTensor = { ...tensor, dtype: 'float32' };
    expect(() => encodeSafetensors([twice, twice])).toThrowError(/taken/);
  });

  it('reads a header with escapes, spaces and no alignment', () => {
    const header = '{ "\\u0061\\n" : { "shape" : [ 2 ] , "data_offsets" : [ 0 , 2 ] , "dtype" : "U8" } }   ';
    expect(read(header, 2)[0]).toMatchObject({ name: 'a\n', shape: [2] });
  });

  const entry = '{"dtype":"U8","shape":[2],"data_offsets":[0,2]}';
  const wrong: [string, string | Uint8Array, number, string][] = [
    ['a byte order mark', `\ufeff{"a":${entry}}`, 2, 'CORRUPT'],
    ['text behind the object', `{"a":${entry}} x`, 2, 'CORRUPT'],
    ['a comment', `{/**/"a":${entry}}`, 2, 'CORRUPT'],
    ['a trailing comma', `{"a":${entry},}`, 2, 'CORRUPT'],
    ['single quotes', `{'a':${entry}}`, 2, 'CORRUPT'],
    ['a raw control character in a name', `{"a\u0001":${entry}}`, 2, 'CORRUPT'],
    ['an unfinished header', '{"a":', 2, 'CORRUPT'],
    ['NaN as a number', one('{"dtype":"U8","shape":[NaN],"data_offsets":[0,2]}'), 2, 'CORRUPT'],
    ['a size in quotes', one('{"dtype":"U8","shape":["2"],"data_offsets":[0,2]}'), 2, 'CORRUPT'],
    ['-0 as a size', one('{"dtype":"U8","shape":[-0],"data_offsets":[0,0]}'), 0, 'CORRUPT'],
    [
      'sizes beyond 2^53',
      one('{"dtype":"U8","shape":[9007199254740993],"data_offsets":[0,2]}'),
      2,
      'CORRUPT',
    ],
    ['three offsets', one('{"dtype":"U8","shape":[2],"data_offsets":[0,2,2]}'), 2, 'CORRUPT'],
    ['a field twice', one('{"dtype":"U8","dtype":"U8","shape":[2],"data_offsets":[0,2]}'), 2, 'CORRUPT'],
    ['half a byte of packed elements', one('{"dtype":"F4","shape":[3],"data_offsets":[0,2]}'), 2, 'CORRUPT'],
    ['metadata that is a list', `{"__metadata__":[],"a":${entry}}`, 2, 'CORRUPT'],
    ['metadata that is null', `{"__metadata__":{"k":null},"a":${entry}}`, 2, 'CORRUPT'],
    ['70 axes', one(`{"dtype":"U8","shape":[${Array(70).fill(1)}],"data_offsets":[0,1]}`), 1, 'CORRUPT'],
    ['bytes that no tensor owns, in a file without tensors', '{}', 1, 'CORRUPT'],
  ];
  for (const [what, header, data, code] of wrong)
    it(`refuses ${what}`, () => {
      expect(() => read(header, data)).toThrowError(expect.objectContaining({ code: `E_CKPT_${code}` }));
    });

  it('is recognised by content, not by name', () => {
    const file = fileOf(one(entry), 2);
    expect(parseCheckpoint(file, 'weights.pth').format).toBe('safetensors');
  });
});
