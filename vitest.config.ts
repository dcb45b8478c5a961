import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/{unit,server,docs,client}/**/*.test.ts'],
    globalSetup: ['test/support/build.ts'],
    restoreMocks: true,
    // Most tests wait for sockets and processes: a core kept free would only idle.
    maxWorkers: '100%',
    // Room for a busy machine; nothing here waits for time.
    testTimeout: 30_000,
  },
});
