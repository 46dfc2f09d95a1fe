import { useEngine } from '../engine.js';
import { testGoldenSuite } from '../goldens/suite.js';
import { trajectoriesSuite } from '../goldens/trajectories.suite.js';

useEngine();
testGoldenSuite(trajectoriesSuite);
