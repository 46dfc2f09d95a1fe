import { c2Suite } from '../goldens/c2.suite.js';
import { testGoldenSuite } from '../goldens/suite.js';

testGoldenSuite(c2Suite);
