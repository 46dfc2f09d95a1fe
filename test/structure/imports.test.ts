import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { describe, expect, it } from 'vitest';

const SOURCE = resolve(import.meta.dirname, '..', '..', 'src');

/** Each folder may import from itself and from those before it. */
const ORDER = ['core', 'engine', 'layers', 'models', 'data', 'convert', 'explain', 'train', 'cli'];

function sourceFiles(): string[] {
  return readdirSync(SOURCE, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(SOURCE, name));
}

/** Absolute paths of the project's own files that a file imports (static, re-exported, dynamic and type imports). */
function importsOf(file: string): string[] {
  const text = readFileSync(file, 'utf8').replace(/\/\*[\s\S]*?\*\//g, '');
  const found = [...text.matchAll(/(?:from|import\()\s*'(\.{1,2}\/[^']+)'/g)].map((m) => m[1]);
  return found.map((path) => resolve(dirname(file), path.replace(/\.js$/, '.ts')));
}

function folderOf(file: string): string {
  return relative(SOURCE, file).split(sep)[0];
}

describe('the structure of src', () => {
  const files = sourceFiles();

  it('has only the folders of the architecture', () => {
    const folders = new Set(files.map(folderOf).filter((name) => !name.endsWith('.ts')));
    expect([...folders].sort()).toEqual([...ORDER].sort());
  });

  it('imports only from folders earlier in the order', () => {
    const wrong: string[] = [];
    for (const file of files.filter((f) => ORDER.includes(folderOf(f)))) {
      for (const target of importsOf(file)) {
        if (ORDER.indexOf(folderOf(target)) > ORDER.indexOf(folderOf(file))) {
          wrong.push(`${relative(SOURCE, file)} -> ${relative(SOURCE, target)}`);
        }
      }
    }
    expect(wrong).toEqual([]);
  });

  it('has no import cycle', () => {
    const state = new Map<string, 'open' | 'done'>();
    const cycles: string[] = [];
    const visit = (file: string, path: readonly string[]): void => {
      if (state.get(file) === 'done') return;
      if (state.get(file) === 'open') {
        cycles.push([...path.slice(path.indexOf(file)), file].map((f) => relative(SOURCE, f)).join(' -> '));
        return;
      }
      state.set(file, 'open');
      for (const target of importsOf(file)) if (files.includes(target)) visit(target, [...path, file]);
      state.set(file, 'done');
    };
    for (const file of files) visit(file, []);
    expect(cycles).toEqual([]);
  });

  it('is described file by file in docs/architecture.md', () => {
    const text = readFileSync(resolve(SOURCE, '..', 'docs', 'architecture.md'), 'utf8');
    const missing = files
      .map((f) => relative(SOURCE, f).split(sep).join('/'))
      .filter((name) => !text.includes(`\`${name}\``));
    expect(missing).toEqual([]);
  });

  it('keeps every file within 400 lines', () => {
    const long = files
      .filter((f) => readFileSync(f, 'utf8').split('\n').length > 401)
      .map((f) => relative(SOURCE, f));
    expect(long).toEqual([]);
  });
});
