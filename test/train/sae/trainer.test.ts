import { describe, expect, it } from 'vitest';
import { useEngine } from '../../engine.js';
import { saeTrainingSuite } from '../../goldens/saeTraining.suite.js';
import { testGoldenSuite } from '../../goldens/suite.js';

useEngine();
testGoldenSuite(saeTrainingSuite);

describe('x', () => it('y', () => expect(1).toBe(1)));
