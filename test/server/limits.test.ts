import { once } from 'node:events';
import { isDeepStrictEqual } from 'node:util';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { TimerWheel } from '../../src/websocket/timer-wheel.ts';
import { clientFrame } from '../support/client-frame.ts';
import { handshake } from '../support/handshake.ts';
import type { RawConnection } from '../support/raw.ts';
import { startServer } from '../support/server.ts';
import { now, SECRET, sign } from '../support/tokens.ts';

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

describe('AUTH_TIMEOUT_SECONDS', () => {
  it('closes connections that have sent no valid token within 30 s', async () => {
    fakeClock();
    const { connect } = await startServer();
    const client = await connect();
    // Pings are no token.
    await client.ping();
    vi.advanceTimersByTime(14_900);
    const pinged = once(client.socket, 'ping');
    vi.advanceTimersByTime(14_900);
    await pinged;
    await client.ping();
    vi.advanceTimersByTime(400);
    expect(await client.closed).toEqual({ code: 4408, reason: 'Authentication timeout' });
  });

  it('spares connections that have sent a valid token, even one without channels', async () => {
    fakeClock();
    const { connect } = await startServer({ PING_INTERVAL_SECONDS: '80000' });
    const client = (await connect()).authenticate(sign({ channels: [] }));
    await client.ping();
    vi.advanceTimersByTime(60_000);
    await client.ping();
  });

  it('closes no connection when it is 0', async () => {
    fakeClock();
    const { connect } = await startServer({
      AUTH_TIMEOUT_SECONDS: '0',
      PING_INTERVAL_SECONDS: '80000',
    });
    const client = await connect();
    vi.advanceTimersByTime(600_000);
    await client.ping();
  });
});

describe('ENFORCE_TOKEN_EXPIRY', () => {
  const ON = { ENFORCE_TOKEN_EXPIRY: 'true', PING_INTERVAL_SECONDS: '80000' };

  it('closes at the exp of the token', async () => {
    fakeClock();
    const { connect, stats } = await startServer(ON);
    const client = (await connect()).authenticate(sign({ channels: ['a'], exp: now() + 100 }));
    await client.next();
    vi.advanceTimersByTime(98_000);
    await client.ping();
    vi.advanceTimersByTime(2_500);
    expect(await client.closed).toEqual({ code: 4401, reason: 'Token expired' });
    expect(await stats()).toEqual({ deliveries: 1, connected: 0 });
  });

  /**
   * Presents tokens at once and resolves to the seconds after which the connection is closed. Each token is written as
   * its channels and its seconds to live, if any: `a+b:100`.
   */
  async function lifetime(tokens: string) {
    fakeClock();
    const { connect } = await startServer(ON);
    const client = await connect();
    for (const token of tokens.split(' ')) {
      const [names = '', seconds = ''] = token.split(':');
      const channels = names.split('+').filter((name) => name !== '');
      const exp = seconds === '' ? undefined : now() + Number(seconds);
      client.authenticate(sign({ channels, exp }));
      for (const _ of channels) await client.next();
    }
    await client.ping();
    for (let second = 0; second < 1_000; second += 10) {
      // At the half of a ten, since `exp` is in whole seconds.
      vi.advanceTimersByTime(second === 0 ? 5_000 : 10_000);
      client.send({ event: 'ping' });
      const answer = await Promise.race([client.next(), client.closed]);
      if (!isDeepStrictEqual(answer, { event: 'pong' })) {
        expect(answer).toEqual({ code: 4401, reason: 'Token expired' });
        return second;
      }
    }
    return Infinity;
  }

  it.each([
    ['moves the deadline when a fresher token names the channel', 'a:100 a:200', 200],
    ['is not moved by a token of no channels', 'a:100 :500', 100],
    ['is not moved by a token of another channel', 'a:100 b:500', 100],
    ['is not moved by a token of another channel that lives for ever', 'a:100 b', 100],
    ['closes when the first of all channels is no longer good', 'a+b:300 c:100 d:200', 100],
    ['needs a fresher token for each channel', 'a+b:100 b:500', 100],
    [
      'takes the latest of the tokens that named a channel, whatever their order',
      'a:300 a:100',
      300,
    ],
    ['lets a channel live for ever that a token without exp has named', 'a a:100', Infinity],
    ['uses the exp of the newest token while there are no channels', ':300 :100', 100],
    ['uses the exp of the channels once there are some', ':100 a:200 :100', 200],
  ])('%s', async (_, tokens, expected) => {
    expect(await lifetime(tokens)).toBe(expected);
  });

  it('compares exp with the wall clock, also after the process was suspended', async () => {
    fakeClock();
    const { connect } = await startServer(ON);
    const client = (await connect()).authenticate(sign({ channels: ['a'], exp: now() + 100 }));
    await client.next();
    vi.setSystemTime(Date.now() + 101_000);
    vi.advanceTimersByTime(100);
    expect(await client.closed).toEqual({ code: 4401, reason: 'Token expired' });
  });

  it('keeps one deadline for a connection, however many channels it has', async () => {
    const { connect } = await startServer(ON);
    const client = await connect();
    await client.ping();
    const deadlines = vi.spyOn(TimerWheel.prototype, 'set');
    const channels = Array.from({ length: 1_000 }, (_, n) => `${n}`);
    client.authenticate(sign({ channels, exp: now() + 100 }));
    for (const _ of channels) await client.next();
    expect(deadlines).toHaveBeenCalledTimes(1);
  });

  it('never closes for a token without exp', async () => {
    fakeClock();
    const { connect } = await startServer(ON);
    const client = await (await connect()).subscribe('a');
    vi.advanceTimersByTime(80_000_000);
    await client.ping();
  });
});

describe('JWT_SECRET_PREVIOUS', () => {
  const OLD = 'an older secret that app servers still use '.repeat(2);

  it('accepts tokens signed with older secrets, for broadcasts and subscriptions', async () => {
    const { connect, post } = await startServer({
      JWT_SECRET_PREVIOUS: `${'x'.repeat(64)},${OLD}`,
    });
    const secrets = [SECRET, OLD.trim(), 'x'.repeat(64)];
    for (const secret of secrets) {
      const client = (await connect()).authenticate(sign({ channels: ['a'] }, { secret }));
      await client.next();
    }
    for (const secret of secrets) {
      const token = sign({ channel: 'a', message: {} }, { secret });
      expect(await (await post(JSON.stringify({ token }))).json()).toMatchObject({ deliveries: 3 });
    }
  });

  it('accepts no token signed with any other secret', async () => {
    const { post } = await startServer({ JWT_SECRET_PREVIOUS: OLD });
    const token = sign({ channel: 'a', message: {} }, { secret: 'y'.repeat(64) });
    expect((await post(JSON.stringify({ token }))).status).toBe(400);
  });
});

describe('MAX_CONNECTIONS', () => {
  it('answers upgrades with 503 until a connection closes', async () => {
    const { connect, raw } = await startServer({ MAX_CONNECTIONS: '2' });
    const [first] = [await connect(), await connect()];

    const refused = await raw();
    refused.write(handshake());
    expect(await refused.reply()).toMatchObject({
      status: 503,
      headers: { 'retry-after': '5', connection: 'close', 'content-type': 'application/json' },
      body: '{"error":"Too many connections"}',
    });

    first?.socket.close();
    await first?.closed;
    await connect();
  });
});

describe('MAX_CHANNELS_PER_CONNECTION', () => {
  it('counts distinct channels of all tokens of a connection, and subscribes to none of a token that exceeds it', async () => {
    const { connect, stats } = await startServer({ MAX_CHANNELS_PER_CONNECTION: '3' });
    const client = await (await connect()).subscribe('a', 'b', 'b', 'a');
    await client.subscribe('a', 'c', 'c');
    expect((await stats()).connected).toBe(3);

    client.authenticate(sign({ channels: ['a', 'd'] }));

    expect(await client.closed).toEqual({ code: 4413, reason: 'Too many channels' });
    expect(await stats()).toEqual({ deliveries: 7, connected: 0 });
  });

  it('is 1,000 by default', async () => {
    const { connect } = await startServer();
    const channels = (count: number) => Array.from({ length: count }, (_, n) => `${n}`);
    await (await connect()).subscribe(...channels(1_000));
    const client = (await connect()).authenticate(sign({ channels: channels(1_001) }));
    expect(await client.closed).toEqual({ code: 4413, reason: 'Too many channels' });
  });
});

describe('ALLOWED_ORIGINS', () => {
  async function status(allowed: string, origin: string | undefined): Promise<number> {
    const { raw } = await startServer({ ALLOWED_ORIGINS: allowed });
    const connection = await raw();
    connection.write(handshake({ headers: { Origin: origin } }));
    const reply = await connection.reply();
    if (reply.status !== 101) expect(reply.body).toBe('{"error":"Origin not allowed"}');
    return reply.status;
  }

  const LIST = 'https://example.com, https://*.example.org:8443, HTTP://LOCALHOST:3000/';
  it.each([
    ['https://example.com', 101],
    ['HTTPS://EXAMPLE.COM', 101],
    [undefined, 101],
    ['http://localhost:3000', 101],
    ['https://a.example.org:8443', 101],
    ['https://a.b-c.example.org:8443', 101],
    ['http://example.com', 403],
    ['https://example.com:444', 403],
    ['https://www.example.com', 403],
    ['https://evilexample.com', 403],
    ['https://example.com.evil.net', 403],
    ['https://example.org:8443', 403],
    ['https://a.example.org', 403],
    ['http://a.example.org:8443', 403],
    ['https://evil.net/.example.org:8443', 403],
    ['https://evil.net:1.example.org:8443', 403],
    ['https://.example.org:8443', 403],
    ['https://evil-example.org:8443', 403],
    ['null', 403],
    ['', 403],
  ])('answers a page of %s with %i', async (origin, expected) => {
    expect(await status(LIST, origin)).toBe(expected);
  });

  it('allows null only when it is listed', async () => {
    expect(await status('null', 'null')).toBe(101);
  });

  it('allows any origin when it is not set', async () => {
    expect(await status('', 'https://anywhere.example')).toBe(101);
  });
});

describe('GET /healthz', () => {
  it('answers 200 while the server is healthy', async () => {
    const { url } = await startServer();
    const response = await fetch(`${url}/healthz`);
    expect(response.status).toBe(200);
    expect(await response.text()).toBe('{"status":"ok"}');
  });
});
