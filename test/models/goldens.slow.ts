import { vi } from 'vitest';
import { useEngine } from '../engine.js';
import { bigLedgers, ledgers } from '../goldens/ledgers.suite.js';
import { bigNetsCompiled, bigNetsEager, netsCompiled, netsEager } from '../goldens/nets.suite.js';
import { testGoldenSuite } from '../goldens/suite.js';

// ResNet-152 at 224 pixels, forward and explained, on a busy machine.
vi.setConfig({ testTimeout: 900_000 });
useEngine();
testGoldenSuite(netsCompiled);
testGoldenSuite(netsEager);
testGoldenSuite(bigNetsCompiled);
testGoldenSuite(bigNetsEager);
testGoldenSuite(ledgers);
testGoldenSuite(bigLedgers);
