import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { convertCheckpoint } from '../../src/convert/convertCheckpoint.js';
import { DTYPES, type NamedTensor, renamed } from '../../src/convert/dtypes.js';
import { encodePyTorch } from '../../src/convert/pytorch/pytorchWriter.js';
import { parseCheckpoint, readCheckpoint } from '../../src/convert/readCheckpoint.js';
import { useEngine } from '../engine.js';
import { PYTHON_REASON, python, runPython } from './python.js';

useEngine('cpu');

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'fact-writers-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

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
    expect(Buffer.concat([...encodePyTorch([one, renamed(one, 'tied')])]).length).toBeLessThan(single + 300);
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

  it.skipIf(python === null)(`writes what torch.load reads with weights_only${PYTHON_REASON}`, () => {
    const path = join(folder, 'a.pth');
    const tensors = all.filter((t) => t.dtype !== 'complex32');
    writeFileSync(path, Buffer.concat([...encodePyTorch(tensors)]));
    const code =
      'import sys, torch\n' +
      'for k, v in torch.load(sys.argv[1], weights_only=True).items(): print(k, str(v.dtype)[6:], list(v.shape), bytes(v.contiguous().view(torch.uint8).flatten().tolist()).hex())';
    expect(runPython(code, path)).toEqual(
      tensors.map(
        (t) => `${t.name} ${t.dtype} [${t.shape.join(', ')}] ${Buffer.from(t.bytes).toString('hex')}`,
      ),
    );
  });

  it.skipIf(python === null)(
    `writes networks that load with strict=True, the same bytes after a round trip${PYTHON_REASON}`,
    async () => {
      const source = fileURLToPath(new URL('./fixtures/standard.pth', import.meta.url));
      const set = { width: 4, blocks: [1, 1], numClasses: 3, inputSize: 16 };
      const network = join(folder, 'network');
      await convertCheckpoint(source, network, { arch: 'torchvision_resnet', set });
      for (const name of ['back.pth', 'back.ckpt', 'half.pth', 'brain.pth', 'back.safetensors'])
        await convertCheckpoint(network, join(folder, name), {
          ...(name === 'half.pth' ? { dtype: 'float16' as const } : {}),
          ...(name === 'brain.pth' ? { dtype: 'bfloat16' as const } : {}),
        });
      // A file without counters gives a network whose counters are 0: nothing is missing.
      const { tensors } = await readCheckpoint(source);
      const without = tensors.filter(({ name }) => !name.endsWith('num_batches_tracked'));
      writeFileSync(join(folder, 'few.pth'), Buffer.concat([...encodePyTorch(without)]));
      await convertCheckpoint(join(folder, 'few.pth'), join(folder, 'full.pth'), {
        arch: 'torchvision_resnet',
        set,
      });
      const printed = runPython(STRICT, source, folder);
      expect(printed).toEqual([
        'back.pth same',
        'back.ckpt same',
        'half.pth torch.float16',
        'brain.pth torch.bfloat16',
        'full.pth loaded',
      ]);
    },
  );
});

/** Loads what was written into a module of these parameters and buffers, strictly. */
const STRICT = `
import os, sys, torch
source = torch.load(sys.argv[1], weights_only=True)
class Tree(torch.nn.Module): pass
def module(state):
    root = Tree()
    for name, value in state.items():
        at = root
        *path, last = name.split('.')
        for part in path:
            if not hasattr(at, part): at.add_module(part, Tree())
            at = getattr(at, part)
        at.register_buffer(last, torch.zeros_like(value))
    return root
for name in ['back.pth', 'back.ckpt', 'half.pth', 'brain.pth', 'full.pth']:
    found = torch.load(os.path.join(sys.argv[2], name), weights_only=True)
    if name.endswith('.ckpt'): found = found['state_dict']
    module(source).load_state_dict(found, strict=True)
    assert list(found) == list(source), name
    floats = {v.dtype for v in found.values() if v.is_floating_point()}
    if name.startswith('back'): print(name, 'same' if all(torch.equal(found[k], v) for k, v in source.items()) else 'differs')
    elif name == 'full.pth': print(name, 'loaded')
    else: print(name, *floats)
`;
