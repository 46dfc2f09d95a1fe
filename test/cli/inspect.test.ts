import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeSafetensors } from '../../src/convert/safetensors.js';
import { createModel } from '../../src/models/createModel.js';
import { useEngine } from '../engine.js';
import { runFact } from './convertCommand.js';

useEngine('cpu');

let folder: string;
const at = (name: string): string => join(folder, name);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'fact-cli-inspect-'));
  const model = createModel('resnet', { numClasses: 3, width: 4, blocks: [1], stem: 'cifar' });
  await model.save(at('net'));
  model.dispose();
  writeSafetensors(
    at('a.safetensors'),
    [
      { name: 'layer.weight', dtype: 'float32', shape: [2, 3], bytes: new Uint8Array(24) },
      { name: '__proto__', dtype: 'int64', shape: [], bytes: new Uint8Array(8) },
      { name: 'evil\u001b[2J\u202ename', dtype: 'bool', shape: [1], bytes: new Uint8Array(1) },
    ],
    new Map([['__proto__', 'a\nb']]),
  );
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('fact inspect', () => {
  it('prints format, counts, metadata and a table', async () => {
    const { status, stdout } = await runFact('inspect', at('a.safetensors'));
    expect(status).toBe(0);
    expect(stdout).toContain('safetensors, ');
    expect(stdout).toContain('3 tensors (1 float32, 1 int64, 1 bool), 8 values');
    expect(stdout).toMatch(/^layer\.weight +float32 +\[2, 3\] +24$/m);
    expect(stdout).toContain('__proto__: "a\\nb"');
  });

  it('sends no control characters of a file to the terminal', async () => {
    const { stdout } = await runFact('inspect', at('a.safetensors'));
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for.
    expect(stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u202e]/);
    expect(stdout).toContain('evil\\u001b[2J\\u202ename');
  });

  it('prints the same as JSON, special names included', async () => {
    const value = JSON.parse((await runFact('inspect', at('a.safetensors'), '--json')).stdout);
    expect(Object.entries(value.metadata)).toEqual([['__proto__', 'a\nb']]);
    expect(value.tensors[1]).toEqual({ name: '__proto__', dtype: 'int64', shape: [], bytes: 8 });
  });

  it('describes the folder of a network', async () => {
    const { stdout } = await runFact('inspect', at('net'));
    expect(stdout).toContain('architecture: resnet');
    expect(stdout).toMatch(/^conv1\.linear\.weight +float32 +\[4, 6, 3, 3\] +864$/m);
  });

  it('refuses what it cannot read in two lines', async () => {
    for (const [path, code] of [
      [at('none'), 'E_NOT_FOUND'],
      [folder, 'E_READ'],
    ]) {
      const { status, stderr } = await runFact('inspect', path);
      expect(status).toBe(1);
      expect(stderr).toMatch(new RegExp(`^error: .+\\n.+ {3}\\[${code}\\]\\n$`));
    }
    expect((await runFact('inspect')).status).toBe(2);
  });
});
