// npm test: lint, format, types, tests. `--all` adds the slow suites; further arguments go to vitest.
import { install, runOrExit, tool } from './install.mjs';

install();
const args = process.argv.slice(2);
const all = args.includes('--all');
const rest = args.filter((arg) => arg !== '--all');
runOrExit(tool('biome'), ['check', '.']);
runOrExit(tool('tsc'), ['--noEmit', '-p', 'tsconfig.json']);
runOrExit(tool('vitest'), ['run', ...rest], { ...process.env, FACT_TEST_ALL: all ? '1' : '0' });
