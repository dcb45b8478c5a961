import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/recovery/*.test.ts'],
    restoreMocks: true,
    // Room for a busy machine; nothing here waits for time.
    testTimeout: 120_000,
  },
});
