import { sign } from '../support/tokens.ts';
import { type Attack, inParallel, times } from './attack.ts';
import { Tally } from './tally.ts';
import { authenticate, frame, HANDSHAKE, PING_MESSAGE, WireClient } from './wire.ts';

/** What the server was started with. */
export const AUTH_TIMEOUT_SECONDS = 4;
/** The server's timers are exact to a tenth of a second; 10,000 ends at once and a busy machine take longer. */
const EARLY_MS = 200;
const LATE_MS = 5_000;

/** What an idle client may try to be left alone; none of it is a verified token. */
const EXCUSES: readonly (readonly Buffer[])[] = [
  [],
  [],
  [],
  [PING_MESSAGE],
  [frame('', { first: 0x89 })],
  [frame('{"event":"hello"}')],
  [frame('{"event":"authent', { first: 0x01 })],
  [authenticate(sign({ channels: ['a'] })).subarray(0, 40)],
];

/** Thousands of connections that never authenticate, all open at once: each is told so and ended in time. */
export const idleConnections: Attack = async (target) => {
  const tally = new Tally();
  const count = times(target, 10_000);
  let open = 0;
  let most = 0;
  await inParallel(count, count, async (index) => {
    tally.handshakes += 1;
    const client = new WireClient(target.port);
    client.onFrame = () => {};
    // The server's time begins after this moment and, for a busy client, long before it reads the answer.
    const sentAt = performance.now();
    client.send(HANDSHAKE, ...(EXCUSES[index % EXCUSES.length] ?? []));
    await client.upgraded();
    const openedAt = performance.now();
    open += 1;
    most = Math.max(most, open);
    await client.gone;
    open -= 1;
    const ms = performance.now() - openedAt;
    const kept =
      client.closedWith(4408, 'Authentication timeout') &&
      performance.now() - sentAt > AUTH_TIMEOUT_SECONDS * 1_000 - EARLY_MS &&
      ms < AUTH_TIMEOUT_SECONDS * 1_000 + LATE_MS;
    tally.check(kept, () => `${client.describe()} after ${Math.round(ms / 1_000)} s`);
  });
  if (most < count) tally.fault(`never more than ${most} open at once`);
  return tally.outcome;
};
