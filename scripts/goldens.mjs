// npm run test:goldens: every golden case, one line each. FACT_GOLDENS names the folder, FACT_ENGINE the engine.
import { install, runOrExit } from './install.mjs';

install();
runOrExit(process.execPath, ['--import', 'tsx', 'test/goldens/run.ts', ...process.argv.slice(2)]);
