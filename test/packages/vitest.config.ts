import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/packages/*.test.ts'],
    globalSetup: ['test/support/build.ts'],
    restoreMocks: true,
    // Most of the time is spent waiting, for downloads and for clients that come back.
    maxWorkers: 4,
    // Packages are installed, and two of them are whole runtimes.
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
});
