import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, expect, it, vi } from 'vitest';
import { clientFrame } from '../support/client-frame.ts';
import { handshake } from '../support/handshake.ts';
import { PositionedClient } from '../support/positioned-client.ts';
import { currentPosition } from '../support/positions.ts';
import { startServer } from '../support/server.ts';
import { sign } from '../support/tokens.ts';

afterEach(() => {
  vi.useRealTimers();
});

/** Lets the server's timer, of which it has one, tick so often. One that is late ticks a turn of the event loop later. */
async function tick(times: number): Promise<void> {
  for (let n = 0; n < times; n += 1) {
    vi.advanceTimersByTime(100);
    await nextTurn();
  }
}

it('a client that does not take what it missed keeps others waiting for seconds only', async () => {
  // Our own clock only: ws and the network keep theirs.
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  // One that comes back may be sent as much as may wait for all who come back.
  const server = await startServer({ MAX_BUFFERED_BYTES: String(2 ** 27) });
  const { raw, broadcast, port } = server;
  const since = await currentPosition(server);
  // More than the network between holds.
  for (let n = 0; n < 40; n += 1) await broadcast('a', { payload: 'x'.repeat(700_000) });

  const deaf = await raw();
  deaf.write(handshake());
  await deaf.reply();
  const data = sign({ channels: ['a'] });
  deaf.write(clientFrame(JSON.stringify({ event: 'authenticate', data, since })));
  await deaf.take(2);
  deaf.socket.pause();

  const other = await PositionedClient.connect(port, ['b'], since);
  // The pongs prove that it is not answered before.
  await other.ping();
  await tick(90);
  await other.ping();
  await tick(20);
  expect(await other.confirmed()).toMatchObject([{ channel: 'b', recovered: true, missed: 0 }]);
});
