// Compiles src/ to dist/, copies what is not TypeScript and bundles the page's program; skipped where dist/ is up to date.
import { cpSync, existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { install, newest, root, runOrExit, tool } from './install.mjs';
import { bundlePage } from './pageBundle.mjs';

function filesBelow(folder) {
  return readdirSync(folder, { recursive: true })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile());
}

export function build() {
  const sources = filesBelow(join(root, 'src'));
  const stamp = join(root, 'dist', '.built');
  const inputs = [
    ...sources,
    join(root, 'tsconfig.json'),
    join(root, 'tsconfig.build.json'),
    join(root, 'package-lock.json'),
  ];
  if (existsSync(stamp) && statSync(stamp).mtimeMs > newest(inputs)) return;
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  runOrExit(tool('tsc'), ['-p', 'tsconfig.build.json']);
  for (const path of sources.filter((p) => !/\.(ts|c|h)$/.test(p)))
    cpSync(path, path.replace(join(root, 'src'), join(root, 'dist')));
  bundlePage(join(root, 'dist', 'explain', 'browser', 'page.js'));
  writeFileSync(stamp, '');
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  install();
  build();
}
