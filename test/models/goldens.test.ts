import { useEngine } from '../engine.js';
import { netsEager } from '../goldens/nets.suite.js';
import { testGoldenSuite } from '../goldens/suite.js';

useEngine();
testGoldenSuite(netsEager);
