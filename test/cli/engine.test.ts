import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { expect, test, vi } from 'vitest';
import { onnxInstallCall, register } from '../../src/cli/engine.js';

async function run(...words: string[]): Promise<{ out: string; err: string; status: unknown }> {
  const out = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  const err = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  const program = new Command('fact').exitOverride();
  register(program);
  try {
    await program.parseAsync(['node', 'fact', 'engine', ...words]);
    const text = (calls: readonly unknown[][]) => calls.map(([first]) => String(first)).join('');
    return { out: text(out.mock.calls), err: text(err.mock.calls), status: process.exitCode };
  } finally {
    out.mockRestore();
    err.mockRestore();
  }
}

test('list prints one line an engine, and the same as JSON', async () => {
  const plain = await run('list', '--engine', 'cpu');
  expect(plain.status).toBe(0);
  expect(plain.out).toMatch(/^onnx .*\nwasm .*available.*\ncpu .*used.*\ntensorflow .*missing/);
  const rows = JSON.parse((await run('list', '--engine', 'cpu', '--json')).out);
  expect(rows.map((row: { name: string }) => row.name)).toEqual(['onnx', 'wasm', 'cpu', 'tensorflow']);
});

test('install of tensorflow fails honestly with exit status 1', async () => {
  const { err, out, status } = await run('install', 'tensorflow');
  expect(status).toBe(1);
  expect(err).toContain('[E_ENGINE_UNSUPPORTED]');
  expect(out).toBe('');
});

test('install of an unknown engine suggests the nearest and exits with 2', async () => {
  const { err, status } = await run('install', 'onx');
  expect(status).toBe(2);
  expect(err).toContain('Did you mean onnx?');
});

test('install of an engine that works does nothing', async () => {
  const { out, status } = await run('install', 'wasm');
  expect(status).toBe(0);
  expect(out).toContain('works here already');
});

test('npm runs in the project that depends on this package, globally, or in the clone', () => {
  const root = mkdtempSync(join(tmpdir(), 'fact-'));
  try {
    const inside = join(root, 'node_modules', 'fact-tfjs');
    mkdirSync(inside, { recursive: true });
    expect(onnxInstallCall(inside)).toEqual({
      folder: root,
      arguments: ['install', '--ignore-scripts', 'onnxruntime-node@1.30.0', '-g'],
    });
    writeFileSync(join(root, 'package.json'), '{}');
    expect(onnxInstallCall(inside)).toEqual({
      folder: root,
      arguments: ['install', '--ignore-scripts', 'onnxruntime-node@1.30.0'],
    });
    expect(onnxInstallCall(root)).toEqual({
      folder: root,
      arguments: ['install', '--ignore-scripts', 'onnxruntime-node@1.30.0', '--no-save'],
    });
  } finally {
    rmSync(root, { recursive: true });
  }
});
