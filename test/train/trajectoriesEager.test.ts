import { beforeAll } from 'vitest';
import { startEngine } from '../../src/engine/start.js';
import { testEngine } from '../engineName.js';
import { testGoldenSuite } from '../goldens/suite.js';
import { trajectoriesSuite } from '../goldens/trajectories.suite.js';

beforeAll(async () => {
  await startEngine({ engine: testEngine(), threads: 1, compile: false });
});
testGoldenSuite({ ...trajectoriesSuite, name: 'trajectories, uncompiled' });
