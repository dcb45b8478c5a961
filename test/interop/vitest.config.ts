import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/interop/*.test.ts'],
    globalSetup: ['test/support/build.ts'],
    restoreMocks: true,
    // Most tests wait for programs of other languages: a core kept free would only idle.
    maxWorkers: '100%',
    testTimeout: 30_000,
  },
});
