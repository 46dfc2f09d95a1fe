import { useEngine } from '../engine.js';
import { lossesSuite } from '../goldens/losses.suite.js';
import { testGoldenSuite } from '../goldens/suite.js';

useEngine();
testGoldenSuite(lossesSuite);
