import { useEngine } from '../engine.js';
import { layersCompiled, layersEager } from '../goldens/layers.suite.js';
import { testGoldenSuite } from '../goldens/suite.js';

useEngine();
testGoldenSuite(layersEager);
testGoldenSuite(layersCompiled);
