import { useEngine } from '../engine.js';
import type { GoldenSuite } from '../goldens/checks.js';
import { bigLedgers, ledgers } from '../goldens/ledgers.suite.js';
import { bigNetsCompiled, netsCompiled, netsEager } from '../goldens/nets.suite.js';
import { testGoldenSuite } from '../goldens/suite.js';

useEngine();

/** The cases of a suite whose names match; `goldens.slow.ts` runs them all. */
function only(suite: GoldenSuite, names: RegExp): GoldenSuite {
  return { ...suite, cases: (folder) => suite.cases(folder).filter((c) => names.test(c.name)) };
}

// Every norm once, and the networks of the shipped recipes.
testGoldenSuite(only(netsCompiled, /resnet_20(_[a-z]+u?)?$|20(_bnu-linear)?-nomaxout$/));
testGoldenSuite(only(netsEager, /resnet_20$|20_(bnu-linear-nomaxout|ln)$/));
// Vision transformers and standard networks at their full size.
testGoldenSuite(only(bigNetsCompiled, /^(standard_)?vitc_ti|torchvision_resnet18/));
// Real photographs.
testGoldenSuite(only(ledgers, /resnet_20_(ln|bn)$/));
testGoldenSuite(only(bigLedgers, /^vitc_ti/));
