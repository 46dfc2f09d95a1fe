import { useEngine } from '../../engine.js';
import { saeTrainingSuite } from '../../goldens/saeTraining.suite.js';
import { testGoldenSuite } from '../../goldens/suite.js';

useEngine();
testGoldenSuite(saeTrainingSuite);
