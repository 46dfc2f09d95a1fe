import { defineConfig } from 'vitest/config';

const slow = process.env.FACT_TEST_ALL === '1';

export default defineConfig({
  test: {
    include: slow ? ['test/**/*.test.ts', 'test/**/*.slow.ts'] : ['test/**/*.test.ts'],
    setupFiles: ['test/setup.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
