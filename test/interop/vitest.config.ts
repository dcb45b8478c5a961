import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/interop/*.test.ts'],
    globalSetup: ['test/support/build.ts'],
    restoreMocks: true,
    testTimeout: 30_000,
  },
});
