// npm run bench: measures against PyTorch (optional) side by side. See bench/README.md.
import { build } from './build.mjs';
import { install, runOrExit } from './install.mjs';

install();
build();
runOrExit(process.execPath, ['--import', 'tsx', 'bench/run.ts', ...process.argv.slice(2)]);
