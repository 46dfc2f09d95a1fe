import { describe, expect, it } from 'vitest';
import { pickle, readBody, tensor, text } from './pickleBytes.js';

const four = { '0': new Float32Array([1, 2, 3, 4]) };

/** `count` times the same bytes. */
function repeated(count: number, ...parts: (string | number[] | Uint8Array)[]): Uint8Array {
  const once = pickle(...parts);
  return Buffer.alloc(once.length * count, once);
}

describe('the pickle machine', () => {
  it('reads strings of Python 2 as UTF-8', () => {
    const { tensors } = readBody(pickle('}U\x01a', tensor('0', 4, [4], [1]), 's'), four);
    expect(tensors.map((t) => t.name)).toEqual(['a']);
  });

  it('refuses DUP, which could multiply values', () => {
    expect(() => readBody(pickle(']2e'))).toThrowError(
      expect.objectContaining({ code: 'E_CKPT_UNSUPPORTED' }),
    );
  });

  it('refuses the opcodes of the text protocol', () => {
    expect(() => readBody(pickle('I1\n'))).toThrowError(
      expect.objectContaining({ code: 'E_CKPT_UNSUPPORTED' }),
    );
  });

  it('keeps names of objects as names: no prototype is touched', () => {
    const { tensors } = readBody(
      pickle('}', text('__proto__'), '}', text('polluted'), tensor('0', 4, [4], [1]), 'ss'),
      four,
    );
    expect(tensors[0].name).toBe('__proto__.polluted');
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });

  it('treats True, 1 and 1.0 as one key, as Python does', () => {
    const { tree } = readBody(pickle('}K\x01', text('a'), 's\x88', text('b'), 's'));
    expect(tree).toMatchObject({ kind: 'dict' });
    expect([...(tree as { entries: Map<string, unknown> }).entries.values()]).toEqual([[true, 'b']]);
  });

  it('stops a file that copies one dict again and again', () => {
    const many = repeated(40_000, 'K\x00K\x00'); // one key, but a long list
    const body = pickle('(', many, 'lq\x00ccollections\ndeque\nq\x01', repeated(200, 'h\x01h\x00\x85R0'));
    expect(() => readBody(body)).toThrowError(expect.objectContaining({ code: 'E_CKPT_TOO_LARGE' }));
  });

  it('stops a file that makes bytes of one long text again and again', () => {
    const long = text('x'.repeat(1_000_000));
    const body = pickle(
      long,
      'q\x00',
      'c_codecs\nencode\nq\x01',
      repeated(100, 'h\x01h\x00', text('latin1'), '\x86R0'),
    );
    expect(() => readBody(body)).toThrowError(expect.objectContaining({ code: 'E_CKPT_TOO_LARGE' }));
  });

  it('refuses a tuple of doublings as a key within the limit of key text', () => {
    const doubling = pickle('K\x01K\x01\x86q\x00', repeated(60, 'h\x00h\x00\x86q\x00'));
    expect(() => readBody(pickle('}', doubling, 'K\x01s'))).toThrowError(
      expect.objectContaining({ code: 'E_CKPT_CORRUPT' }),
    );
  });

  it('reads lists that share their parts 2^60 times without walking every path', () => {
    // Each step puts the list before twice into a new one; the tensor beside them is found.
    const lists = pickle(']', repeated(60, 'q\x00](h\x00h\x00e'));
    const body = pickle('(', lists, '}', text('a'), tensor('0', 4, [4], [1]), 'st');
    const start = performance.now();
    expect(readBody(body, four).tensors.map((t) => t.name)).toEqual(['61.a']);
    expect(performance.now() - start).toBeLessThan(2000);
  });

  it('stops a tensor that is reached by 2^40 paths', () => {
    const body = pickle('(', tensor('0', 4, [4], [1]), repeated(40, 'q\x00(h\x00h\x00t'), 't');
    expect(() => readBody(body, four)).toThrowError(expect.objectContaining({ code: 'E_CKPT_TOO_LARGE' }));
  });

  it('refuses a rebuild function that rebuilds itself', () => {
    const body = pickle(
      'ctorch._tensor\n_rebuild_from_type_v2\nq\x00(h\x00NN)t',
      '(h\x00N',
      'h\x00NN\x87',
      'NtR',
    );
    expect(() => readBody(body)).toThrowError(expect.objectContaining({ code: 'E_CKPT_CORRUPT' }));
  });

  it('reads a tensor that carries attributes, without them', () => {
    const inner = tensor('0', 4, [2, 2], [2, 1]);
    const args = pickle(inner.subarray(inner.indexOf(0x28), inner.length - 1)); // the tuple of arguments
    const body = pickle(
      'ctorch._tensor\n_rebuild_from_type_v2\n(ctorch._utils\n_rebuild_tensor_v2\nctorch\nTensor\n',
      args,
      '}tR',
    );
    expect(readBody(pickle('}', text('w'), body, 's'), four).tensors[0]).toMatchObject({
      name: 'w',
      shape: [2, 2],
    });
  });

  it('names the file, the member and the byte of a fault, and what to do', () => {
    expect(() => readBody(pickle('cposix\nsystem\n'))).toThrowError(
      expect.objectContaining({
        code: 'E_CKPT_UNSAFE',
        message:
          'test.pth: archive/data.pkl, byte 2: it refers to "posix.system", which is not on the list of allowed names',
        remedy: expect.stringContaining('torch.save(model.state_dict(), path)'),
      }),
    );
  });

  it('refuses to call a name that is a value only', () => {
    expect(() => readBody(pickle('ctorch\nFloatStorage\n)R'))).toThrowError(
      expect.objectContaining({ code: 'E_CKPT_UNSAFE' }),
    );
  });

  it('refuses two tensors of one joined name', () => {
    const body = pickle(
      '}(',
      text('a.b'),
      tensor('0', 4, [4], [1]),
      text('a'),
      '}',
      text('b'),
      tensor('0', 4, [4], [1]),
      'su',
    );
    expect(() => readBody(body, four)).toThrowError(expect.objectContaining({ code: 'E_CKPT_CORRUPT' }));
  });

  it('shares the bytes of tied tensors', () => {
    const one = tensor('0', 4, [4], [1]);
    const { tensors } = readBody(pickle('}(', text('a'), one, text('b'), one, 'u'), four);
    expect(tensors[0].bytes.buffer).toBe(tensors[1].bytes.buffer);
    expect(tensors[0].bytes.byteOffset).toBe(tensors[1].bytes.byteOffset);
  });
});
