import { expect, it } from 'vitest';
import { clientFrame } from '../support/client-frame.ts';
import { handshake } from '../support/handshake.ts';
import type { RawConnection } from '../support/raw.ts';
import { startServer } from '../support/server.ts';
import { sign } from '../support/tokens.ts';

const authenticate = (token: string) =>
  clientFrame(JSON.stringify({ event: 'authenticate', data: token }));

it.each<[string, (connection: RawConnection) => unknown]>([
  ['is reset', ({ socket }) => socket.resetAndDestroy()],
  ['is half-closed', ({ socket }) => socket.end()],
  ['sends bytes that are no frame', (connection) => connection.write(Buffer.alloc(100, 0xff))],
  ['sends a text that is no JSON', (connection) => connection.write(clientFrame('garbage'))],
  ['fails a second authentication', (connection) => connection.write(authenticate('garbage'))],
  [
    'sends half a frame and is reset',
    (connection) => {
      connection.write(clientFrame('{"event":"ping"}').subarray(0, 7));
      connection.socket.resetAndDestroy();
    },
  ],
  [
    'closes and never reads again',
    (connection) => {
      connection.socket.pause();
      connection.write(clientFrame(Buffer.from([3, 232]), { first: 0x88 }));
    },
  ],
])('a socket that %s costs the others nothing', async (_, poison) => {
  const { raw, connect, broadcast, stats } = await startServer();
  // First in the channel, so that a broadcast meets it before the others.
  const victim = await raw();
  victim.write(handshake());
  await victim.reply();
  victim.write(authenticate(sign({ channels: ['a', 'b'] })));
  await victim.take(104);
  const others = [await connect(), await connect()];
  for (const client of others) await client.subscribe('a');

  poison(victim);
  for (let n = 0; n < 20; n += 1) {
    expect([2, 3]).toContain(await broadcast('a', { n }));
    for (const client of others) expect(await client.next()).toEqual({ n });
  }

  while ((await stats()).connected !== 2) await broadcast('nobody', {});
  expect(await broadcast('a', { event: 'fence' })).toBe(2);
  for (const client of others) expect(await client.next()).toEqual({ event: 'fence' });
});
