import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { createProgram } from '../../src/cli/main.js';

const ROOT = resolve(import.meta.dirname, '..', '..');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

/** Pages that users read. */
const PAGES = [
  'README.md',
  'SECURITY.md',
  'CHANGELOG.md',
  'examples/README.md',
  'bench/README.md',
  ...readdirSync(join(ROOT, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

/** Top-level folders of the project whose files the pages name. */
const FOLDERS = ['bench', 'bin', 'checkpoints', 'configs', 'docs', 'examples', 'scripts', 'src', 'test'];

/** Files of the project, as paths from its root; what it does not own (node_modules, dist, runs) left out. */
function projectFiles(): string[] {
  const below = FOLDERS.filter((folder) => existsSync(join(ROOT, folder))).flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)),
  );
  return [...readdirSync(ROOT), ...below].filter((path) => statSync(join(ROOT, path)).isFile());
}

/** Every chain of words that is a command: `explain`, `engine list`, ... */
function verbs(command: Command, before = ''): string[] {
  return command.commands.flatMap((child) => {
    const name = `${before}${child.name()}`;
    return child.commands.length > 0 ? verbs(child, `${name} `) : [name];
  });
}

describe('the pages', () => {
  it('link to files that exist', () => {
    const broken = PAGES.flatMap((page) =>
      [...read(page).matchAll(/\]\(([^)#\s]+)[^)]*\)/g)]
        .map((match) => match[1])
        .filter((target) => !/^[a-z]+:/.test(target))
        .filter((target) => !existsSync(resolve(ROOT, dirname(page), target)))
        .map((target) => `${page}: ${target}`),
    );
    expect(broken).toEqual([]);
  });

  it('name files of the project that exist', () => {
    const path = new RegExp(`(?<![\\w./-])(?:${FOLDERS.join('|')})/[\\w.-]+(?:/[\\w.-]+)*`, 'g');
    const broken = PAGES.flatMap((page) =>
      [...read(page).matchAll(path)]
        .map((match) => match[0].replace(/[.-]+$/, ''))
        // What a run writes below its own folder, and a network of the reader's.
        .filter((name) => !/^checkpoints\/(last|best|my-network)/.test(name))
        .filter((name) => !existsSync(join(ROOT, name)))
        .map((name) => `${page}: ${name}`),
    );
    expect([...new Set(broken)]).toEqual([]);
  });

  it('have no place left to be filled in', () => {
    const unfinished = PAGES.filter((page) => /\b(TODO|TBD|FIXME|XXX|[A-Z]+_TABLE)\b/.test(read(page)));
    expect(unfinished).toEqual([]);
  });

  it('are all in the index of the manual', () => {
    const index = read('docs/README.md');
    const missing = PAGES.filter((page) => page.startsWith('docs/') && page !== 'docs/README.md').filter(
      (page) => !index.includes(`](${relative('docs', page)})`),
    );
    expect(missing).toEqual([]);
  });

  it('show every verb of the command, and no other', async () => {
    const text = PAGES.map(read).join('\n');
    const known = verbs(await createProgram());
    expect(known.filter((verb) => !new RegExp(`fact ${verb}\\b`).test(text))).toEqual([]);
    const words = new Set(known.map((verb) => verb.split(' ')[0]));
    const shown = [...text.matchAll(/^ *(?:\$ |npx )?fact ([a-z]+)/gm)].map((match) => match[1]);
    expect(shown.length).toBeGreaterThan(10);
    expect(shown.filter((word) => !words.has(word))).toEqual([]);
  });

  it('show only options that exist', async () => {
    const known = new Set(['--help', '--version']);
    const collect = (command: Command): void => {
      for (const option of command.options)
        for (const flag of [option.long, option.short]) known.add(`${flag}`);
      command.commands.forEach(collect);
    };
    collect(await createProgram());
    const unknown = PAGES.flatMap((page) =>
      [...read(page).matchAll(/^ *(?:\$ |npx )?fact [^#\n]*/gm)]
        .flatMap((match) => match[0].match(/(?<=\s)--?[a-z][a-z-]*/g) ?? [])
        .filter((flag) => !known.has(flag))
        .map((flag) => `${page}: ${flag}`),
    );
    expect(unknown).toEqual([]);
  });
});

describe('the package', () => {
  const manifest = JSON.parse(read('package.json'));

  it('exports only what a source file stands behind', () => {
    const targets = Object.values(manifest.exports).flatMap((entry) =>
      typeof entry === 'string' ? [] : Object.values(entry as Record<string, string>),
    );
    const sources = [manifest.main, manifest.types, ...targets].map((path: string) =>
      path
        .replace(/^\.\//, '')
        .replace(/^dist\//, 'src/')
        .replace(/(\.d\.ts|\.js)$/, '.ts'),
    );
    expect(sources.length).toBeGreaterThan(10);
    expect(sources.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  });

  it('holds what users need and no tests', () => {
    const missing = manifest.files.filter(
      (name: string) => name !== 'dist' && !name.startsWith('!') && !existsSync(join(ROOT, name)),
    );
    expect(missing).toEqual([]);
    for (const name of ['bin', 'dist', 'checkpoints', 'docs', 'LICENSE', 'NOTICE'])
      expect(manifest.files).toContain(name);
    for (const name of ['src', 'test', 'bench', 'scripts']) expect(manifest.files).not.toContain(name);
  });

  it('names the licences of what it includes from others', () => {
    const notice = read('NOTICE');
    expect(read('src/explain/picture/glyphOutlines.ts')).toContain('DejaVu Sans');
    for (const words of [
      'DejaVu Sans',
      'Copyright (c) 2003 by Bitstream',
      'this permission notice shall',
      'Arev',
    ])
      expect(notice).toContain(words);
    expect(notice).toContain('examples/photos');
    const photos = projectFiles().filter((path) => path.startsWith(join('examples', 'photos')));
    const listed = read('examples/README.md');
    expect(photos.filter((path) => !listed.includes(relative('examples', path)))).toEqual([]);
  });
});

describe('the files of the project', () => {
  /** Spelt in pieces, so that this file does not name them. */
  const FOREIGN = [
    ['a folder of one machine', /(?<![\w.-])\/(?:work|tmp|root)\/\w/],
    ['the host of a registry', new RegExp(['registry\\.npmjs', 'pypi\\.org', 'pythonhosted'].join('|'))],
  ] as const;

  it('name no machine and no registry', () => {
    const texts = projectFiles().filter((path) =>
      /\.(ts|mjs|js|json|md|yaml|py|sh|c|h|txt)$|^[^.]+$/.test(path),
    );
    const found = texts
      .filter((path) => !path.endsWith('docs.test.ts'))
      // pip's public default, which `fact engine install tensorflow` uses where pip's settings name no other.
      .filter((path) => !path.endsWith(join('tensorflow', 'install', 'packageIndex.ts')))
      .flatMap((path) =>
        FOREIGN.filter(([, pattern]) => pattern.test(read(path))).map(([what]) => `${path}: ${what}`),
      );
    expect(found).toEqual([]);
  });

  it('lock versions without the place that they came from', () => {
    expect(read('package-lock.json')).not.toContain('"resolved"');
  });
});
