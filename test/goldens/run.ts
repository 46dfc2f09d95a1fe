import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { FactError } from '../../src/core/errors.js';
import { startEngine } from '../../src/engine/start.js';
import { testEngine } from '../engineName.js';
import { type GoldenSuite, type GoldenSuiteCase, worstCheck } from './checks.js';
import { goldensFolder } from './format.js';

/** Every suite of this folder: each `*.suite.ts` exports them under any name. */
async function loadSuites(): Promise<GoldenSuite[]> {
  const files = readdirSync(import.meta.dirname)
    .filter((name) => name.endsWith('.suite.ts'))
    .sort();
  const suites: GoldenSuite[] = [];
  for (const file of files) {
    const module = (await import(pathToFileURL(join(import.meta.dirname, file)).href)) as Record<
      string,
      unknown
    >;
    for (const value of Object.values(module)) {
      const suite = value as Partial<GoldenSuite> | null;
      if (typeof suite === 'object' && suite !== null && typeof suite.cases === 'function')
        suites.push(suite as GoldenSuite);
    }
  }
  return suites;
}

type Outcome = 'passed' | 'failed' | 'not yet';

/** Runs one case and prints its line. */
async function report(suite: GoldenSuite, goldenCase: GoldenSuiteCase): Promise<Outcome> {
  const name = `${suite.name} ${goldenCase.name}`;
  try {
    const checks = await goldenCase.run();
    if (checks === 'not yet' || checks.length === 0) {
      console.log(`${name}\tnot yet`);
      return 'not yet';
    }
    const worst = worstCheck(checks);
    const pass = worst.error <= worst.tolerance;
    console.log(
      `${name}\t${worst.tensor}\t${worst.error.toExponential(2)}\t${worst.tolerance.toExponential(2)}\t${pass ? 'pass' : 'FAIL'}`,
    );
    return pass ? 'passed' : 'failed';
  } catch (error) {
    console.log(
      `${name}\t-\t-\t-\tFAIL\t${error instanceof Error ? error.message.split('\n')[0] : String(error)}`,
    );
    return 'failed';
  }
}

const folder = goldensFolder();
if (folder === null) {
  console.error('error: no folder of golden numbers\nName one: FACT_GOLDENS=DIR npm run test:goldens');
  process.exit(1);
}
const started = await startEngine({ engine: testEngine() }).catch((error: unknown) => {
  if (!(error instanceof FactError)) throw error;
  console.error(`not run: ${error.message}\n${error.remedy}`);
  process.exit(1);
});
const filter = process.argv[2] ?? '';
console.log(`engine ${started.name}, goldens ${folder}`);
console.log('case\tworst tensor\terror\ttolerance\tresult');
const count: Record<Outcome, number> = { passed: 0, failed: 0, 'not yet': 0 };
for (const suite of await loadSuites()) {
  if (!existsSync(join(folder, suite.part))) {
    console.log(`${suite.name}\tabsent`);
    continue;
  }
  for (const goldenCase of suite.cases(folder)) {
    if (!`${suite.name} ${goldenCase.name}`.includes(filter)) continue;
    count[await report(suite, goldenCase)]++;
  }
}
console.log(`${count['not yet']} not yet`);
console.log(`${count.passed} passed, ${count.failed} failed`);
process.exit(count.failed > 0 ? 1 : 0);
