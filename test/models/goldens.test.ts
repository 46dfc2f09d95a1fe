import { useEngine } from '../engine.js';
import { netsCompiled, netsEager } from '../goldens/nets.suite.js';
import { testGoldenSuite } from '../goldens/suite.js';

useEngine();
testGoldenSuite(netsEager);
testGoldenSuite(netsCompiled);
