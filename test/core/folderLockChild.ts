/** Takes and gives back the lock of a folder: `lockChild.ts FOLDER TIMES`; prints how often another was inside too. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FactError, systemCodeOf } from '../../src/core/errors.js';
import { lockFolder } from '../../src/core/folderLock.js';

/** Time that is spent inside. */
const LOOKS = 5;
const [folder, times] = process.argv.slice(2);
const inside = join(folder, 'inside');
let together = 0;
for (let taken = 0; taken < Number(times); ) {
  try {
    const unlock = lockFolder(folder);
    taken++;
    try {
      writeFileSync(inside, '', { flag: 'wx' });
      for (let look = 0; look < LOOKS; look++) readFileSync(inside);
      rmSync(inside);
    } catch (error) {
      if (systemCodeOf(error) !== 'EEXIST') throw error;
      together++;
    }
    unlock();
  } catch (error) {
    if (!(error instanceof FactError) || error.code !== 'E_RUN_LOCKED') throw error;
  }
}
process.stdout.write(String(together));
