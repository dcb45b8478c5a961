import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/*.test.ts'],
    globalSetup: ['test/support/build.ts'],
    restoreMocks: true,
    // Room for a busy machine; nothing here waits for time.
    testTimeout: 30_000,
  },
});
