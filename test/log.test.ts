import { afterEach, describe, expect, it, vi } from 'vitest';
import { rateLimited } from '../src/log.ts';
import { recordingLog } from './support/log.ts';
import { handshake } from './support/raw.ts';
import { startServer } from './support/server.ts';
import { sign } from './support/tokens.ts';

afterEach(() => {
  vi.useRealTimers();
});

describe('the log', () => {
  it('says of each connection who it was and why it ended', async () => {
    const { lines, log } = recordingLog('info');
    const { connect, server } = await startServer({}, log);
    const alice = await (await connect()).subscribe('a', 'b');
    alice.socket.close(4321, 'my own words');
    await alice.closed;
    const bob = (await connect()).authenticate('garbage');
    await bob.closed;
    await server.close();

    const address = '127.0.0.1';
    expect(lines.filter(({ msg }) => msg === 'disconnected')).toEqual([
      {
        level: 30,
        connection: expect.any(Number),
        address,
        code: 4321,
        channels: 2,
        msg: 'disconnected',
      },
      {
        level: 30,
        connection: expect.any(Number),
        address,
        code: 4401,
        reason: 'Not Authorized!',
        channels: 0,
        msg: 'disconnected',
      },
    ]);
  });

  it('says at debug what was broadcast where, but never what', async () => {
    const { lines, log } = recordingLog('trace');
    const { connect, broadcast, post, url, raw } = await startServer({}, log);
    const client = await (await connect()).subscribe('a');
    await broadcast('a', { password: 'in the message' });
    await client.next();
    const token = sign({ channel: 'a', message: {} }, { secret: 'x'.repeat(64) });
    await post(JSON.stringify({ token }));
    await post('in the body');
    await fetch(`${url}/nowhere?in-the-query`);
    const connection = await raw();
    connection.write(handshake({ path: '/subscribe?in-the-query' }));
    await connection.reply();
    client.send('in a websocket message');
    await client.closed;

    const text = JSON.stringify(lines);
    expect(lines).toContainEqual({ level: 20, channel: 'a', deliveries: 1, msg: 'broadcast' });
    for (const secret of [
      'in the message',
      'in the body',
      'in-the-query',
      'in a websocket',
      'eyJ',
    ]) {
      expect(text).not.toContain(secret);
    }
  });

  it('says whose broadcasts are refused, once in a while', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const { lines, log } = recordingLog('info');
    const { post } = await startServer({ TRUST_PROXY: '1' }, log);
    for (let n = 1; n <= 5; n += 1) await post('garbage', { 'X-Forwarded-For': `203.0.113.${n}` });
    vi.advanceTimersByTime(10_000);
    await post('{}');
    vi.advanceTimersByTime(10_000);
    await post('{}');

    const line = { level: 40, status: 400, msg: 'a broadcast was refused' };
    const error = 'token must be a string';
    expect(lines).toEqual([
      { ...line, error: 'Body must be a JSON object', address: '203.0.113.1', leftOut: 0 },
      { ...line, error, address: '127.0.0.1', leftOut: 4 },
      { ...line, error, address: '127.0.0.1', leftOut: 0 },
    ]);
  });

  it.each([
    ['0', '203.0.113.7', '127.0.0.1'],
    ['1', undefined, '127.0.0.1'],
    ['1', '203.0.113.7', '203.0.113.7'],
    ['1', '10.0.0.1, 203.0.113.7', '203.0.113.7'],
    ['2', 'forged, 203.0.113.7, 10.0.0.1', '203.0.113.7'],
    ['2', '2001:db8::1, 10.0.0.1', '2001:db8::1'],
    ['3', '203.0.113.7, 10.0.0.1', '203.0.113.7'],
    ['1', 'not an address', '127.0.0.1'],
  ])(
    'with TRUST_PROXY=%s names for "X-Forwarded-For: %s" the address %s',
    async (n, seen, address) => {
      const { lines, log } = recordingLog('info');
      const { connect, server } = await startServer({ TRUST_PROXY: n }, log);
      const client = await connect(
        seen === undefined ? {} : { headers: { 'X-Forwarded-For': seen } },
      );
      await client.authenticate('garbage').closed;
      await server.close();
      expect(lines.find(({ msg }) => msg === 'disconnected')).toMatchObject({ address });
    },
  );
});

describe('rateLimited', () => {
  it('runs at once and then at most once in the interval', () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const run = vi.fn();
    const limited = rateLimited(1_000, run);
    limited('a');
    limited('b');
    vi.advanceTimersByTime(999);
    limited('c');
    vi.advanceTimersByTime(1);
    limited('d');
    expect(run.mock.calls).toEqual([['a'], ['d']]);
  });
});
