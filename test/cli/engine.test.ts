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
  expect(plain.out).toMatch(/^onnx .*\nwasm .*available.*\ncpu .*used.*\ntensorflow .*(missing|available)/);
  const rows = JSON.parse((await run('list', '--engine', 'cpu', '--json')).out);
  expect(rows.map((row: { name: string }) => row.name)).toEqual(['onnx', 'wasm', 'cpu', 'tensorflow']);
});

test('install of tensorflow without a network fails with one line and its remedy', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'fact-'));
  const before = { ...process.env };
  try {
    // A port that nobody listens on.
    Object.assign(process.env, {
      FACT_HOME: folder,
      FACT_CACHE: folder,
      PIP_INDEX_URL: 'http://127.0.0.1:9/simple',
    });
    Object.assign(process.env, { NO_PROXY: '127.0.0.1' });
    const { err, out, status } = await run('install', 'tensorflow', '--quiet');
    expect(status).toBe(1);
    expect(err).toContain('[E_ENGINE_INSTALL]');
    expect(err).toContain('ECONNREFUSED');
    expect(out).toBe('');
    expect((await run('remove', 'tensorflow')).out).toContain('nothing was there');
  } finally {
    for (const name of ['FACT_HOME', 'FACT_CACHE', 'PIP_INDEX_URL', 'NO_PROXY']) {
      if (before[name] === undefined) delete process.env[name];
      else process.env[name] = before[name];
    }
    rmSync(folder, { recursive: true });
  }
});

test('--gpu belongs to tensorflow, and only tensorflow can be removed', async () => {
  for (const words of [
    ['install', 'onnx', '--gpu'],
    ['remove', 'onnx'],
  ]) {
    const { err, status } = await run(...words);
    expect(status).toBe(2);
    expect(err).toContain('[E_USAGE]');
  }
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
