import { useEngine } from '../engine.js';
import { bigNetsEager } from '../goldens/nets.suite.js';
import { testGoldenSuite } from '../goldens/suite.js';

useEngine();
testGoldenSuite(bigNetsEager);
