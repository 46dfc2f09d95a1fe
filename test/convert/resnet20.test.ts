import { useEngine } from '../engine.js';
import { resnet20Suite } from '../goldens/resnet20.suite.js';
import { testGoldenSuite } from '../goldens/suite.js';

useEngine();
testGoldenSuite(resnet20Suite);
