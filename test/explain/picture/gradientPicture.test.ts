import { explanationPictureSuite, layerPictureSuite } from '../../goldens/pictures.suite.js';
import { testGoldenSuite } from '../../goldens/suite.js';

testGoldenSuite(layerPictureSuite);
testGoldenSuite(explanationPictureSuite);
