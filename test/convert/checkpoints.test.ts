import { checkpointsSuite, maliciousSuite } from '../goldens/checkpoints.suite.js';
import { testGoldenSuite } from '../goldens/suite.js';

testGoldenSuite(checkpointsSuite);
testGoldenSuite(maliciousSuite);
