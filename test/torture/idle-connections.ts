import { clientFrame } from '../support/client-frame.ts';
import { sign } from '../support/tokens.ts';
import { type Attack, inParallel, times } from './attack.ts';
import { authenticate, HANDSHAKE, PING_MESSAGE } from './client-messages.ts';
import { ResultCollector } from './result-collector.ts';
import { WireClient } from './wire-client.ts';

/** A setting of the server. */
export const AUTH_TIMEOUT_SECONDS = 4;
/** The server's timers are exact to a tenth of a second. */
const MAX_EARLY_MS = 200;
/** A busy machine needs time to close 10,000 connections at once. */
const MAX_LATE_MS = 5_000;

/** What idle clients send. None of it is a complete token. */
const UNAUTHENTICATED_INPUTS: readonly (readonly Buffer[])[] = [
  [],
  [],
  [],
  [PING_MESSAGE],
  [clientFrame('', { first: 0x89 })],
  [clientFrame('{"event":"hello"}')],
  [clientFrame('{"event":"authent', { first: 0x01 })],
  [authenticate(sign({ channels: ['a'] })).subarray(0, 40)],
];

/** Thousands of open connections that never authenticate. The server must close each in time, with the right code. */
export const idleConnections: Attack = async (target) => {
  const results = new ResultCollector();
  const count = times(target, 10_000);
  let open = 0;
  let maxOpen = 0;
  await inParallel(count, count, async (index) => {
    results.handshakes += 1;
    const client = new WireClient(target.port);
    client.onFrame = () => {};
    // The server's time begins after this moment and, for a busy client, long before it reads the answer.
    const sentAt = performance.now();
    client.send(
      HANDSHAKE,
      ...(UNAUTHENTICATED_INPUTS[index % UNAUTHENTICATED_INPUTS.length] ?? []),
    );
    await client.upgraded();
    const openedAt = performance.now();
    open += 1;
    maxOpen = Math.max(maxOpen, open);
    await client.disconnected;
    open -= 1;
    const ms = performance.now() - openedAt;
    const conforms =
      client.closedWith(4408, 'Authentication timeout') &&
      performance.now() - sentAt > AUTH_TIMEOUT_SECONDS * 1_000 - MAX_EARLY_MS &&
      ms < AUTH_TIMEOUT_SECONDS * 1_000 + MAX_LATE_MS;
    results.check(conforms, () => `${client.describe()} after ${Math.round(ms / 1_000)} s`);
  });
  if (maxOpen < count) results.addFault(`never more than ${maxOpen} open at once`);
  return results.outcome;
};
