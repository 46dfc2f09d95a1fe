import {
  appendFileSync,
  closeSync,
  mkdtempSync,
  openSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodePyTorch } from '../../src/convert/pytorch/pytorchWriter.js';
import { readCheckpoint } from '../../src/convert/readCheckpoint.js';

let folder: string;
const at = (name: string): string => join(folder, name);
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'fact-source-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A safetensors file of 5 GB on paper: its hole takes no space. */
function hugeFile(path: string): void {
  const hole = 5 * 2 ** 30;
  const json = JSON.stringify({
    hole: { dtype: 'U8', shape: [hole], data_offsets: [0, hole] },
    small: { dtype: 'U8', shape: [3], data_offsets: [hole, hole + 3] },
  });
  const header = Buffer.alloc(8 + Math.ceil(json.length / 8) * 8, 0x20);
  header.writeBigUInt64LE(BigInt(header.length - 8));
  header.write(json, 8);
  writeFileSync(path, header);
  truncateSync(path, header.length + hole + 3);
  const handle = openSync(path, 'r+');
  writeSync(handle, Uint8Array.of(7, 8, 9), 0, 3, header.length + hole);
  closeSync(handle);
}

describe('files that are read by ranges', () => {
  it('may be larger than 4 GB: only headers are read, and the tensors that are asked for', async () => {
    hugeFile(at('huge.safetensors'));
    const before = process.memoryUsage().arrayBuffers;
    const { tensors } = await readCheckpoint(at('huge.safetensors'));
    expect([...(tensors.find(({ name }) => name === 'small')?.bytes ?? [])]).toEqual([7, 8, 9]);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 24);
  });

  it('may not change between the reading of their headers and of a tensor', async () => {
    const tensor = { name: 'a', dtype: 'uint8', shape: [3], bytes: Uint8Array.of(1, 2, 3) } as const;
    writeFileSync(at('a.pth'), Buffer.concat([...encodePyTorch([tensor])]));
    const { tensors } = await readCheckpoint(at('a.pth'));
    expect([...tensors[0].bytes]).toEqual([1, 2, 3]);
    appendFileSync(at('a.pth'), 'x');
    expect(() => tensors[0].bytes).toThrowError(
      expect.objectContaining({ code: 'E_CKPT_CORRUPT', message: expect.stringContaining('was changed') }),
    );
    rmSync(at('a.pth'));
    expect(() => tensors[0].bytes).toThrowError(expect.objectContaining({ code: 'E_NOT_FOUND' }));
  });

  it('show a damaged storage when its bytes are asked for, whole or in part', async () => {
    const tensor = { name: 'a', dtype: 'uint8', shape: [300], bytes: new Uint8Array(300).fill(170) } as const;
    const bytes = Buffer.concat([...encodePyTorch([tensor])]);
    bytes[bytes.indexOf(Buffer.alloc(100, 170)) + 50] = 0;
    writeFileSync(at('damaged.pth'), bytes);
    const { tensors } = await readCheckpoint(at('damaged.pth'));
    expect(() => tensors[0].bytes).toThrowError(
      expect.objectContaining({ code: 'E_CKPT_CORRUPT', message: expect.stringContaining('CRC-32') }),
    );
  });
});
