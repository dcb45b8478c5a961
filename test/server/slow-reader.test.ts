import { afterEach, describe, expect, it, vi } from 'vitest';
import { clientFrame } from '../support/client-frame.ts';
import { handshake } from '../support/handshake.ts';
import type { RawConnection } from '../support/raw.ts';
import { startServer } from '../support/server.ts';
import { sign } from '../support/tokens.ts';

afterEach(() => {
  vi.useRealTimers();
});

/** Our own clock only: ws and the network keep theirs. */
function fakeClock() {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance', 'Date'] });
}

describe('a slow reader', () => {
  const LIMITS = { MAX_BODY_BYTES: '200000', MAX_BUFFERED_BYTES: '400000' };
  const PAYLOAD = 'x'.repeat(100_000);

  async function subscribedButDeaf(raw: () => Promise<RawConnection>): Promise<RawConnection> {
    const connection = await raw();
    connection.write(handshake());
    await connection.reply();
    connection.write(
      clientFrame(JSON.stringify({ event: 'authenticate', data: sign({ channels: ['a'] }) })),
    );
    await connection.take(2);
    connection.socket.pause();
    return connection;
  }

  it('is closed with 4429 while the other subscribers receive every message', async () => {
    const { connect, broadcast, stats } = await startServer(LIMITS);
    const slow = await (await connect()).subscribe('a');
    const others = [await connect(), await connect()];
    for (const client of others) await client.subscribe('a');

    slow.socket.pause();
    for (let n = 0; (await stats()).connected === 3; n += 1) {
      await broadcast('a', { n, PAYLOAD });
      for (const client of others) expect(await client.next()).toEqual({ n, PAYLOAD });
    }
    slow.socket.resume();

    expect(await slow.closed).toEqual({ code: 4429, reason: 'Too slow' });
    expect(await broadcast('a', { event: 'fence' })).toBe(2);
    for (const client of others) expect(await client.next()).toEqual({ event: 'fence' });
  });

  it('is destroyed although it never reads the close frame', async () => {
    const { raw, broadcast, stats, server } = await startServer(LIMITS);
    await subscribedButDeaf(raw);
    while ((await stats()).connected === 1) await broadcast('a', { PAYLOAD });

    // Closing waits for the last connection, so it is the server that ends this one.
    await server.close();
  });

  it('is destroyed by the second ping after its close when it has sent a FIN', async () => {
    fakeClock();
    const { raw, broadcast, stats, server } = await startServer({
      MAX_BUFFERED_BYTES: '100000000',
    });
    const connection = await subscribedButDeaf(raw);
    // More than the network between holds.
    for (let n = 0; n < 200; n += 1) await broadcast('a', { PAYLOAD });
    connection.socket.end();

    while ((await broadcast('a', {})) > 0);
    expect((await stats()).connected).toBe(1);
    for (let beat = 0; beat < 2; beat += 1) vi.advanceTimersByTime(15_100);
    while ((await stats()).connected > 0);
    await server.close();
  });

  it('is not read while thousands of answers to it wait to be sent', async () => {
    const { connect, stats } = await startServer();
    const client = await connect();
    // Each is confirmed, so each of these small messages asks for half a megabyte.
    const token = sign({ channels: Array.from({ length: 11_000 }, () => 'a') });
    for (let n = 0; n < 5; n += 1) client.authenticate(token);
    for (let n = 0; n < 5 * 11_000; n += 1) await client.nextText();
    await client.ping();
    expect(await stats()).toEqual({ deliveries: 55_000, connected: 1 });
  });

  it('is not a client that has read everything before a burst of messages', async () => {
    const { connect } = await startServer({ MAX_BODY_BYTES: '500', MAX_BUFFERED_BYTES: '1000' });
    const client = await connect();
    const channels = Array.from({ length: 1_000 }, (_, n) => `channel:${n}`);
    await client.subscribe(...channels);
    await client.ping();
  });
});
