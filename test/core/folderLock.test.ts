import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { temporaryFolders } from '../fixtures/pictures.js';

const CHILD = join(import.meta.dirname, 'folderLockChild.ts');
const folder = temporaryFolders();

describe('the lock of a folder', () => {
  it('is held by one process at a time, however often several take it and give it back', async () => {
    const place = folder();
    const argv = ['--import', 'tsx', CHILD, place, '4000'];
    const run = promisify(execFile);
    const outcomes = await Promise.all([1, 2, 3].map(() => run(process.execPath, argv)));
    expect(outcomes.map(({ stdout }) => stdout)).toEqual(['0', '0', '0']);
    expect(readdirSync(place)).toEqual([]);
  });
});
