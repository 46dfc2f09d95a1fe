import { useEngine } from '../engine.js';
import { bigNetsCompiled, bigNetsEager } from '../goldens/nets.suite.js';
import { testGoldenSuite } from '../goldens/suite.js';

useEngine();
testGoldenSuite(bigNetsEager);
testGoldenSuite(bigNetsCompiled);
