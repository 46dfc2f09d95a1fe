import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DTYPES, type NamedTensor, renamed } from '../../src/convert/dtypes.js';
import { encodePyTorch } from '../../src/convert/pytorchWriter.js';
import { parseCheckpoint } from '../../src/convert/readCheckpoint.js';

function roundTrip(tensors: readonly NamedTensor[], under: string | null = null): readonly NamedTensor[] {
  return parseCheckpoint(new Uint8Array(Buffer.concat([...encodePyTorch(tensors, under)])), 'test.pth')
    .tensors;
}

const all = DTYPES.filter((facts) => facts.torch).map(
  (facts, i): NamedTensor => ({
    name: `a.${facts.name}`,
    dtype: facts.name,
    shape: [2, 1, 3],
    bytes: Uint8Array.from({ length: (6 * facts.bits) / 8 }, (_, b) => (b * 31 + i) & 0xff),
  }),
);
const odd: NamedTensor[] = [
  { name: '__proto__', dtype: 'float32', shape: [], bytes: new Uint8Array([0, 0, 192, 127]) },
  { name: 'é 漢 😀', dtype: 'int64', shape: [0, 5], bytes: new Uint8Array(0) },
];

/** A Python with PyTorch named by FACT_PYTHON, else null: no test needs one. */
const python =
  process.env.FACT_PYTHON !== undefined && existsSync(process.env.FACT_PYTHON)
    ? process.env.FACT_PYTHON
    : null;

describe('the PyTorch writer', () => {
  it('writes every element type of PyTorch so that the reader gives the same bytes', () => {
    expect(roundTrip([...all, ...odd])).toEqual([...all, ...odd]);
  });

  it('writes the same bytes each time', () => {
    expect(Buffer.concat([...encodePyTorch(all)])).toEqual(Buffer.concat([...encodePyTorch(all)]));
  });

  it('stores tied tensors once', () => {
    const [one] = all;
    const single = Buffer.concat([...encodePyTorch([one])]).length;
    const back = roundTrip([one, renamed(one, 'tied')]);
    expect(back[0].bytes.byteOffset).toBe(back[1].bytes.byteOffset);
    expect(Buffer.concat([...encodePyTorch([one, renamed(one, 'tied')])]).length).toBeLessThan(
      single + 300,
    );
  });

  it('puts the state dict below a key where one is asked for', () => {
    expect(roundTrip(odd, 'state_dict').map((t) => t.name)).toEqual(odd.map((t) => `state_dict.${t.name}`));
  });

  it('writes an empty state dict', () => {
    expect(roundTrip([])).toEqual([]);
  });

  it('refuses element types that PyTorch lacks, and a name that is there twice', () => {
    const packed: NamedTensor = { name: 'a', dtype: 'float4_e2m1', shape: [2], bytes: new Uint8Array(1) };
    expect(() => encodePyTorch([packed])).toThrowError(/cannot save float4/);
    expect(() => encodePyTorch([all[0], all[0]])).toThrowError(/twice/);
  });

  it.skipIf(python === null)(
    'writes what torch.load reads with weights_only (needs FACT_PYTHON with PyTorch)',
    () => {
      const folder = mkdtempSync(join(tmpdir(), 'fact-torch-'));
      try {
        const path = join(folder, 'a.pth');
        const tensors = all.filter((t) => t.dtype !== 'complex32');
        writeFileSync(path, Buffer.concat([...encodePyTorch(tensors)]));
        const code =
          'import sys, torch\n' +
          'for k, v in torch.load(sys.argv[1], weights_only=True).items(): print(k, str(v.dtype)[6:], list(v.shape), bytes(v.contiguous().view(torch.uint8).flatten().tolist()).hex())';
        const printed = execFileSync(python ?? '', ['-c', code, path], { encoding: 'utf8' })
          .trim()
          .split('\n');
        expect(printed).toEqual(
          tensors.map(
            (t) => `${t.name} ${t.dtype} [${t.shape.join(', ')}] ${Buffer.from(t.bytes).toString('hex')}`,
          ),
        );
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
  );
});
