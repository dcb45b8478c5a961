import { once } from 'node:events';
import { isDeepStrictEqual } from 'node:util';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { TimerWheel } from '../../src/websocket/timer-wheel.ts';
import { startServer } from '../support/server.ts';
import { now, sign } from '../support/tokens.ts';

const YEAR_MS = 365 * 86_400_000;

afterEach(() => {
  vi.useRealTimers();
});

/** Our own clock only: ws and the network keep theirs. */
function fakeClock() {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance', 'Date'] });
}

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
    vi.setSystemTime(Date.now() + 10 * YEAR_MS);
    vi.advanceTimersByTime(1_000);
    await client.ping();
  });
});
