import { statsSuite } from '../goldens/stats.suite.js';
import { testGoldenSuite } from '../goldens/suite.js';

testGoldenSuite(statsSuite);
