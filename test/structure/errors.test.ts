import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = resolve(import.meta.dirname, '..', '..');
const SELF = import.meta.filename;

/**
 * Codes that no test can provoke, with the reason. Each guards against a fault of this program or of a part below it
 * that is not known to exist.
 */
const CANNOT_BE_PROVOKED: Readonly<Record<string, string>> = {};

function textsBelow(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(ROOT, folder, name))
    .filter((path) => path !== SELF)
    .map((path) => readFileSync(path, 'utf8'));
}

/** All codes that the texts name; `E_X_*` in a comment stands for a family and is none. */
function codesIn(texts: readonly string[]): string[] {
  const found = texts.flatMap((text) => text.match(/\bE_[A-Z0-9_]*[A-Z0-9](?![A-Z0-9_])/g) ?? []);
  return [...new Set(found)].sort();
}

describe('error codes', () => {
  const thrown = codesIn(textsBelow('src'));
  const tested = new Set(codesIn(textsBelow('test')));
  const page = readFileSync(join(ROOT, 'docs', 'errors.md'), 'utf8');
  const documented = [...page.matchAll(/^\| `(E_[A-Z0-9_]+)` \|/gm)].map((match) => match[1]);

  it('are documented in docs/errors.md, once each, and only those of the sources', () => {
    expect([...documented].sort()).toEqual(thrown);
  });

  it('of the other pages exist', () => {
    const pages = readdirSync(join(ROOT, 'docs')).filter((name) => name.endsWith('.md'));
    const named = codesIn(pages.map((name) => readFileSync(join(ROOT, 'docs', name), 'utf8')));
    expect(named.filter((code) => !thrown.includes(code))).toEqual([]);
  });

  it('each have a test that names them', () => {
    const untested = thrown.filter((code) => !tested.has(code) && !(code in CANNOT_BE_PROVOKED));
    expect(untested).toEqual([]);
  });

  it('that are excused from a test exist and have none', () => {
    const stale = Object.keys(CANNOT_BE_PROVOKED).filter(
      (code) => !thrown.includes(code) || tested.has(code),
    );
    expect(stale).toEqual([]);
  });
});
