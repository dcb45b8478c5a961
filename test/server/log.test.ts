import { afterEach, describe, expect, it, vi } from 'vitest';
import { handshake } from '../support/handshake.ts';
import { recordingLog } from '../support/log.ts';
import { startServer } from '../support/server.ts';
import { sign } from '../support/tokens.ts';

afterEach(() => {
  vi.useRealTimers();
});

/** What all sums together say, by code. */
function sumUp(lines: readonly Record<string, unknown>[]): Record<string, number> {
  const total: Record<string, number> = {};
  for (const { msg, level, count, codes } of lines) {
    if (msg !== 'websockets disconnected') continue;
    expect(level).toBe(30);
    const entries = Object.entries(codes as Record<string, number>);
    expect(count).toBe(entries.reduce((sum, [, ofCode]) => sum + ofCode, 0));
    for (const [code, ofCode] of entries) total[code] = (total[code] ?? 0) + ofCode;
  }
  return total;
}

describe('the log', () => {
  it('has a line for each authenticated connection with its user and close reason', async () => {
    const { lines, log } = recordingLog('info');
    const { connect, stats } = await startServer({}, log);
    const alice = await (await connect()).subscribe('a', 'b');
    alice.socket.close(4321, 'my own words');
    await alice.closed;
    const bob = (await (await connect()).subscribe('a')).authenticate('garbage');
    await bob.closed;
    // The server may see its end a moment later.
    while (lines.length < 2) await stats();

    const common = { level: 30, connection: expect.any(Number), address: '127.0.0.1' };
    expect(lines).toEqual([
      { ...common, code: 4321, channels: 2, msg: 'disconnected' },
      { ...common, code: 4401, reason: 'Not Authorized!', channels: 1, msg: 'disconnected' },
    ]);
  });

  it('counts unauthenticated disconnects by code, with a line for each at debug', async () => {
    const { lines, log } = recordingLog('debug');
    const { connect, server } = await startServer({}, log);
    for (let n = 0; n < 3; n += 1) await (await connect()).authenticate('garbage').closed;
    for (const code of [4321, 3456, 1000]) {
      const client = await connect();
      client.socket.close(code);
      await client.closed;
    }
    await server.close();

    const single = lines.filter(({ msg }) => msg === 'disconnected');
    expect(single.map(({ level, code }) => [level, code])).toEqual([
      ...[1, 2, 3].map(() => [20, 4401]),
      [20, 4321],
      [20, 3456],
      [20, 1000],
    ]);
    expect(single[0]).toEqual({
      level: 20,
      connection: expect.any(Number),
      address: '127.0.0.1',
      code: 4401,
      reason: 'Not Authorized!',
      channels: 0,
      msg: 'disconnected',
    });
    expect(sumUp(lines)).toEqual({ 4401: 3, other: 2, 1000: 1 });
  });

  it('sums up without waiting for the next disconnect', async () => {
    const { logged, log } = recordingLog('info');
    const { connect } = await startServer({}, log);
    await (await connect()).authenticate('garbage').closed;
    expect(await logged('websockets disconnected')).toMatchObject({ codes: { 4401: 1 } });
  });

  it('counts the disconnects of a drain by code, with no line for each', async () => {
    const { lines, log } = recordingLog('info');
    const { connect, server } = await startServer({}, log);
    for (let n = 0; n < 5; n += 1) await (await connect()).subscribe('a');
    await connect();
    await server.close();
    expect(lines.filter(({ msg }) => msg === 'disconnected')).toEqual([]);
    expect(sumUp(lines)).toEqual({ 1001: 6 });
    expect(lines.at(-1)?.['msg']).toBe('closed');
  });

  it('has the channel of each broadcast at debug, but never its message', async () => {
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

  it('names the address of a refused broadcast, at most once in 10 s', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const { lines, log } = recordingLog('info');
    const { post } = await startServer({ TRUST_PROXY: '1' }, log);
    for (let n = 1; n <= 5; n += 1) await post('garbage', { 'X-Forwarded-For': `203.0.113.${n}` });
    vi.advanceTimersByTime(10_000);
    await post('{}');
    vi.advanceTimersByTime(10_000);
    await post('{}');

    const line = { level: 40, status: 400, msg: 'broadcast refused' };
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
      const { lines, log } = recordingLog('debug');
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
