// Installs the dependencies where they are missing or older than the lock file. Node only: runs before anything is there.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Runs a command in the project's root with the terminal's streams; ends this process if it fails. */
export function runOrExit(command, args, env = process.env) {
  const result = spawnSync(command, args, {
    cwd: root,
    stdio: 'inherit',
    env,
    shell: process.platform === 'win32',
  });
  if (result.error) console.error(`error: cannot run ${command}: ${result.error.message}`);
  if (result.status !== 0) process.exit(result.status ?? 1);
}

/** Path of a tool that a development dependency installs. */
export function tool(name) {
  return join(root, 'node_modules', '.bin', process.platform === 'win32' ? `${name}.cmd` : name);
}

function requireNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > 20 || (major === 20 && minor >= 15)) return;
  console.error(
    `error: Node ${process.versions.node} is too old\nInstall Node 20.15 or newer (nodejs.org), then run this again.`,
  );
  process.exit(1);
}

function isInstalled() {
  const installed = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(installed)) return false;
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  const have = JSON.parse(readFileSync(installed, 'utf8'));
  return Object.entries(lock.packages).every(
    ([name, p]) => name === '' || p.optional || p.devOptional || have.packages[name]?.version === p.version,
  );
}

/** `npm ci` without install scripts, once; says what it does. */
export function install() {
  requireNode();
  if (isInstalled()) return;
  console.error('Installing dependencies (once, about 800 MB on disk) ...');
  runOrExit('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']);
}

/** Newest modification time of some files, in milliseconds; 0 for one that is missing. */
export function newest(paths) {
  return Math.max(...paths.map((path) => (existsSync(path) ? statSync(path).mtimeMs : 0)));
}
