import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { GoldenCheck, GoldenSuite } from './checks.js';

type Outcome = readonly GoldenCheck[] | 'not yet';

/** A suite of the cases `NAME.json` of the folder `part`; `check` gets a case's path and name without the ending. */
export function folderSuite(
  part: string,
  check: (path: string, name: string) => Outcome | Promise<Outcome>,
  name = part,
): GoldenSuite {
  return {
    name,
    part,
    cases: (folder) =>
      readdirSync(join(folder, part))
        .filter((file) => file.endsWith('.json'))
        .sort()
        .map((file) => {
          const caseName = file.slice(0, -'.json'.length);
          return { name: caseName, run: async () => check(join(folder, part, caseName), caseName) };
        }),
  };
}
