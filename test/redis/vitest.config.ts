import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/redis/*.test.ts'],
    globalSetup: ['test/support/build.ts'],
    restoreMocks: true,
    // Limits for a busy machine; the tests themselves wait for what happens.
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});
