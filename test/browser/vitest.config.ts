import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/browser/*.test.ts'],
    globalSetup: ['test/support/build.ts', 'test/browser/chromium.ts'],
    restoreMocks: true,
    // Pages wait for sockets and clocks: a core kept free would only idle.
    maxWorkers: '100%',
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
