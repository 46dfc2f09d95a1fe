// npm start: explains the bundled photographs with the shipped network, verifies the sums, prints where the report is.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { build } from './build.mjs';
import { install, root } from './install.mjs';

install();
build();
const fact = (args) =>
  spawnSync(process.execPath, [join(root, 'bin', 'fact.js'), ...args], { cwd: root, stdio: 'inherit' })
    .status ?? 1;
const photos = 'examples/photos';
const given = process.argv.slice(2);
const status =
  given.length > 0 ? fact(given) : fact(['explain', photos, '--out', 'report']) || fact(['verify', photos]);
process.exit(status);
