import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { test } from 'vitest';
import { ENGINES } from './engines.js';

const SCRIPT = fileURLToPath(new URL('../../scripts/engine-table.ts', import.meta.url));

test.skipIf(!ENGINES.includes('onnx'))(
  'the table of operations in docs/engines.md is what the engines do',
  async () => {
    await promisify(execFile)(process.execPath, ['--import', 'tsx', SCRIPT, '--check']);
  },
  300_000,
);
