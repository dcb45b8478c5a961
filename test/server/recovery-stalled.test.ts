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

it('a client that reads is not too slow for the replays of several tokens at once', async () => {
  const server = await startServer();
  const since = await currentPosition(server);
  // Each may have two megabytes, and four may wait for one socket.
  const channels = ['a', 'b', 'c', 'd', 'e', 'f'];
  const payload = 'x'.repeat(600_000);
  const missed = [0, 1, 2];
  for (const channel of channels)
    for (const n of missed) await server.broadcast(channel, { n, payload });

  const client = await server.connect();
  for (const channel of channels) {
    client.send({ event: 'authenticate', data: sign({ channels: [channel] }), since });
  }
  for (const channel of channels) {
    const { data } = JSON.parse(await client.nextText());
    expect(JSON.parse(data)).toMatchObject({ channel, recovered: true, missed: missed.length });
    for (const n of missed) expect(await client.next()).toMatchObject({ channel, data: { n } });
  }
  const pong = await client.send({ event: 'ping' }).next();
  expect(pong).toMatchObject({ event: 'pong', data: expect.any(String) });
});
