// npm run demo: writes the page of docs/demo anew for the shipped network and serves it on this computer. What is committed
// there leaves out the files for WebGPU (27 MB).
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { build } from './build.mjs';
import { install, root } from './install.mjs';

install();
build();
const folder = join(root, 'examples', 'photos');
const photos = readdirSync(folder, { recursive: true })
  .filter((name) => name.endsWith('.jpg'))
  .sort()
  .flatMap((name) => ['--photo', join(folder, name)]);
const page = ['export', '--page', join(root, 'docs', 'demo'), '--weights', 'f16', ...photos];
const given = process.argv.slice(2);
const { status } = spawnSync(
  process.execPath,
  [join(root, 'bin', 'fact.js'), ...page, ...(given.length > 0 ? given : ['--serve'])],
  { cwd: root, stdio: 'inherit' },
);
process.exit(status ?? 1);
