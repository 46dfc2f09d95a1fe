import { useEngine } from '../engine.js';
import { layersEager } from '../goldens/layers.suite.js';
import { testGoldenSuite } from '../goldens/suite.js';

useEngine();
testGoldenSuite(layersEager);
