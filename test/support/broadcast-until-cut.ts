import type { TestServer } from './server.ts';

export const LARGE_TEXT = 'x'.repeat(500_000);

/**
 * Broadcasts `{ n, text }` on channel `a`, n from 1, until the server has ended the one connection because it does not
 * read. Resolves to the last n; rejects when the connection goes on reading.
 */
export async function broadcastUntilCut({ broadcast, stats }: TestServer): Promise<number> {
  for (let n = 1; n <= 100; n += 1) {
    await broadcast('a', { n, text: LARGE_TEXT });
    if ((await stats()).connected === 0) return n;
  }
  throw new Error('the connection went on reading');
}
