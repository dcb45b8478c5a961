import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/deploy/*.test.ts'],
    globalSetup: ['test/support/build.ts'],
    restoreMocks: true,
    // Most tests wait for programs: a core kept free would only idle.
    maxWorkers: '100%',
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
