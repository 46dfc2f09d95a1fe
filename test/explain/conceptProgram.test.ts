import { useEngine } from '../engine.js';
import { explainSuite } from '../goldens/explain.suite.js';
import { testGoldenSuite } from '../goldens/suite.js';

useEngine();
testGoldenSuite(explainSuite);
