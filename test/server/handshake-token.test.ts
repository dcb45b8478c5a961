import { afterEach, describe, expect, it, vi } from 'vitest';
import { BAD_CHANNELS, BAD_TOKENS } from '../support/bad-tokens.ts';
import type { TestClient } from '../support/client.ts';
import { clientFrame } from '../support/client-frame.ts';
import { handshake } from '../support/handshake.ts';
import { recordingLog } from '../support/log.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { now, sign } from '../support/tokens.ts';

afterEach(() => {
  vi.useRealTimers();
});

const ON = { TOKEN_AT_CONNECT: 'true' };

function bearer(token: string): { readonly Authorization: string } {
  return { Authorization: `Bearer ${token}` };
}

function subscribed(channel: string): string {
  return JSON.stringify({ event: 'subscribed', data: JSON.stringify({ channel }) });
}

describe('the token at the handshake', () => {
  it.each(['Bearer', 'bearer', 'BEARER', 'bEaReR '])(
    'authenticates behind the scheme %j',
    async (scheme) => {
      const { connect, broadcast } = await startServer(ON);
      const token = sign({ channels: ['a', 'b', 'a'] });
      const client = await connect({ headers: { Authorization: `${scheme} ${token}` } });
      for (const channel of ['a', 'b', 'a']) {
        expect(await client.nextText()).toBe(subscribed(channel));
      }
      expect(await broadcast('b', { n: 1 })).toBe(1);
      expect(await client.next()).toEqual({ n: 1 });
    },
  );

  it('is answered with 101 and then its subscribed frames, before anything else', async () => {
    const { raw } = await startServer(ON);
    const connection = await raw();
    const request = handshake({ headers: bearer(sign({ channels: ['a', 'b'] })) });
    // What the client says in the packet of the handshake is answered behind them.
    connection.write(Buffer.concat([Buffer.from(request), clientFrame('{"event":"ping"}')]));
    expect((await connection.reply()).text).toBe(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n',
    );
    const texts = [subscribed('a'), subscribed('b'), '{"event":"pong"}'];
    const frames = texts.map((text) => `\x81${String.fromCharCode(text.length)}${text}`).join('');
    expect((await connection.take(frames.length)).toString('latin1')).toBe(frames);
  });

  it('counts like any token, and further ones add their channels', async () => {
    const { connect, stats } = await startServer(ON);
    const client = await connect({ headers: bearer(sign({ channels: ['a'] })) });
    await client.next();
    await client.subscribe('a', 'b');
    expect(await stats()).toEqual({ deliveries: 3, connected: 2 });
  });

  it('may have no channels', async () => {
    const { connect } = await startServer(ON);
    await (await connect({ headers: bearer(sign({ channels: [] })) })).ping();
  });

  it.each(BAD_TOKENS)('is refused with 401 before the upgrade: one %s', async (_, token) => {
    const { raw, stats } = await startServer(ON);
    const connection = await raw();
    connection.write(handshake({ headers: bearer(token) }));
    const { status, headers, body } = await connection.reply();
    expect({ status, body }).toEqual({ status: 401, body: '{"error":"Not Authorized!"}' });
    expect(headers).toEqual({
      'www-authenticate': 'Bearer',
      connection: 'close',
      'content-type': 'application/json',
      'content-length': String(body.length),
    });
    expect((await connection.ended).length).toBe(0);
    expect(await stats()).toEqual({ deliveries: 0, connected: 0 });
  });

  it.each(['Bearer', 'bearer ', 'Bearer\t'])(
    'is refused with 401 when none is there: %j',
    async (field) => {
      const { raw } = await startServer(ON);
      const connection = await raw();
      connection.write(handshake({ headers: { Authorization: field } }));
      expect(await connection.reply()).toMatchObject({
        status: 401,
        body: '{"error":"Not Authorized!"}',
      });
    },
  );

  it.each(BAD_CHANNELS)(
    'is refused with 400 and the reason when its channels are %s',
    async (_, token, _code, reason) => {
      const { raw, stats } = await startServer(ON);
      const connection = await raw();
      connection.write(handshake({ headers: bearer(token) }));
      const { status, headers, body } = await connection.reply();
      expect({ status, body }).toEqual({ status: 400, body: JSON.stringify({ error: reason }) });
      expect(headers).not.toHaveProperty('www-authenticate');
      expect((await connection.ended).length).toBe(0);
      expect(await stats()).toEqual({ deliveries: 0, connected: 0 });
    },
  );

  it('may have as many distinct channels as MAX_CHANNELS_PER_CONNECTION allows', async () => {
    const { connect, raw } = await startServer({ ...ON, MAX_CHANNELS_PER_CONNECTION: '2' });
    const connection = await raw();
    connection.write(handshake({ headers: bearer(sign({ channels: ['a', 'b', 'c'] })) }));
    expect(await connection.reply()).toMatchObject({
      status: 400,
      body: '{"error":"Too many channels"}',
    });

    const client = await connect({ headers: bearer(sign({ channels: ['a', 'b', 'a'] })) });
    for (const _ of ['a', 'b', 'a']) await client.next();
    client.authenticate(sign({ channels: ['c'] }));
    expect(await client.closed).toEqual({ code: 4413, reason: 'Too many channels' });
  });

  it.each([
    ['the path', { path: '/other' }, 404],
    ['the version', { headers: { 'Sec-WebSocket-Version': '8' } }, 426],
    ['the key', { headers: { 'Sec-WebSocket-Key': 'short' } }, 400],
    ['the Origin', { headers: { Origin: 'https://example.org' } }, 403],
  ])('is looked at after %s', async (_, change, status) => {
    const { raw } = await startServer({ ...ON, ALLOWED_ORIGINS: 'https://example.com' });
    const connection = await raw();
    const headers = { ...('headers' in change ? change.headers : {}), ...bearer('garbage') };
    connection.write(handshake({ ...change, headers }));
    const reply = await connection.reply();
    expect(reply.status).toBe(status);
    expect(reply.body).not.toContain('Not Authorized!');
  });

  it('is looked at after the room', async () => {
    const { connect, raw } = await startServer({ ...ON, MAX_CONNECTIONS: '1' });
    await connect();
    const connection = await raw();
    connection.write(handshake({ headers: bearer('garbage') }));
    expect(await connection.reply()).toMatchObject({
      status: 503,
      body: '{"error":"Too many connections"}',
    });
  });

  it.each([
    ['no field', {}],
    ['another scheme', { Authorization: 'Basic dXNlcjpwYXNzd29yZA==' }],
    ['a scheme that only begins alike', { Authorization: 'Bearerish garbage' }],
    ['an empty field', { Authorization: '' }],
  ])('with %s the handshake is as without the variable', async (_, headers) => {
    const { connect, broadcast, stats } = await startServer(ON);
    const client = await connect({ headers: { ...headers, 'Last-Event-ID': 'now' } });
    await client.ping();
    expect(await stats()).toEqual({ deliveries: 0, connected: 0 });
    await client.subscribe('a');
    await broadcast('a', { n: 1 });
    expect(await client.next()).toEqual({ n: 1 });
  });

  it('stops the authentication clock like any token', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
    const { connect } = await startServer({ ...ON, PING_INTERVAL_SECONDS: '80000' });
    const member = await connect({ headers: bearer(sign({ channels: [] })) });
    const stranger = await connect({ headers: { Authorization: 'Basic x' } });
    vi.advanceTimersByTime(31_000);
    expect(await stranger.closed).toEqual({ code: 4408, reason: 'Authentication timeout' });
    await member.ping();
  });

  it('counts for ENFORCE_TOKEN_EXPIRY like any token', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance', 'Date'] });
    const { connect } = await startServer({
      ...ON,
      ENFORCE_TOKEN_EXPIRY: 'true',
      PING_INTERVAL_SECONDS: '80000',
    });
    const client = await connect({ headers: bearer(sign({ channels: ['a'], exp: now() + 100 })) });
    await client.next();
    vi.advanceTimersByTime(98_000);
    await client.ping();
    vi.advanceTimersByTime(2_500);
    expect(await client.closed).toEqual({ code: 4401, reason: 'Token expired' });
  });

  it('is never taken from the URL nor from Sec-WebSocket-Protocol', async () => {
    const { raw, stats } = await startServer(ON);
    const token = sign({ channels: ['a'] });
    const connection = await raw();
    connection.write(
      handshake({
        path: `/subscribe?token=${token}&access_token=${token}`,
        headers: { 'Sec-WebSocket-Protocol': `bearer, ${token}` },
      }),
    );
    connection.write(clientFrame('{"event":"ping"}'));
    const { status, headers } = await connection.reply();
    expect(status).toBe(101);
    expect(headers).not.toHaveProperty('sec-websocket-protocol');
    expect((await connection.take(18)).toString('latin1')).toBe('\x81\x10{"event":"pong"}');
    expect(await stats()).toEqual({ deliveries: 0, connected: 0 });
  });

  it.each([
    ['a good one', sign({ channels: ['a'] }), 101],
    ['a bad one', `${sign({ channels: ['a'] })}x`, 401],
    ['one with bad channels', sign({}), 400],
  ])('is in no line of the log: %s', async (_, token, status) => {
    const { lines, log, logged } = recordingLog('trace');
    const { raw, server } = await startServer(ON, log);
    const connection = await raw();
    connection.write(handshake({ headers: bearer(token) }));
    expect((await connection.reply()).status).toBe(status);
    await server.close();
    await logged('closed');
    expect(JSON.stringify(lines)).not.toContain(token.slice(0, 30));
  });

  it('is counted when it is refused', async () => {
    const { raw, url } = await startServer({ ...ON, METRICS: 'true', MAX_CHANNEL_LENGTH: '1' });
    for (const token of ['garbage', sign({}), sign({ channels: ['ab'] })]) {
      const connection = await raw();
      connection.write(handshake({ headers: bearer(token) }));
      await connection.ended;
    }
    const text = await (await fetch(`${url}/metrics`)).text();
    for (const reason of ['token', 'channels', 'limits']) {
      expect(text).toContain(`bifrost_authentication_failures_total{reason="${reason}"} 1\n`);
    }
  });

  it('is ignored when TOKEN_AT_CONNECT is off, which it is by default', async () => {
    const { connect, stats } = await startServer();
    for (const token of [sign({ channels: ['a'] }), 'garbage']) {
      const headers = { ...bearer(token), 'Last-Event-ID': 'now' };
      const client = await connect({ headers });
      await client.ping();
      expect(await stats()).toEqual({ deliveries: 0, connected: 0 });
    }
  });
});

describe('Last-Event-ID beside the token', () => {
  const token = sign({ channels: ['a', 'b'] });

  /** Connects with the token, and with the field unless it is undefined. */
  function connectSince({ connect }: TestServer, since: string | undefined): Promise<TestClient> {
    const field = since === undefined ? {} : { 'Last-Event-ID': since };
    return connect({ headers: { ...bearer(token), ...field } });
  }

  /** The `data` of the next confirmation. */
  async function nextData(client: TestClient): Promise<Record<string, unknown>> {
    return JSON.parse(((await client.next()) as { data: string }).data);
  }

  it.each(['', 'now'])('begins with what is broadcast from now on when it is %j', async (since) => {
    const server = await startServer(ON);
    await server.broadcast('a', { n: 1 });
    const client = await connectSince(server, since);
    expect(await client.nextText()).toBe(subscribed('a'));
    const last = await nextData(client);
    expect(last).toEqual({ channel: 'b', position: expect.stringMatching(/^\w{8}\.\d+$/) });
    await server.broadcast('a', { n: 2 });
    expect(await client.next()).toMatchObject({ event: 'message', channel: 'a', data: { n: 2 } });
  });

  it('goes on from where the client had come to when it is a position', async () => {
    const server = await startServer(ON);
    const before = await connectSince(server, 'now');
    await before.next();
    const { position } = await nextData(before);
    before.socket.terminate();
    await server.broadcast('b', { n: 1 });
    await server.broadcast('other', { n: 2 });
    await server.broadcast('a', { n: 3 });

    const client = await connectSince(server, String(position));
    expect(await nextData(client)).toEqual({ channel: 'a', recovered: true, missed: 1 });
    expect(await nextData(client)).toEqual({ channel: 'b', recovered: true, missed: 1, position });
    expect(await client.next()).toMatchObject({ channel: 'b', data: { n: 1 } });
    expect(await client.next()).toMatchObject({ channel: 'a', data: { n: 3 } });
    await server.broadcast('a', { n: 4 });
    expect(await client.next()).toMatchObject({ channel: 'a', data: { n: 4 } });
  });

  it.each(['never', 'null', 'abcdefgh.1, abcdefgh.1', '\xe9'])(
    'cannot be recovered from when it is %j',
    async (since) => {
      const client = await connectSince(await startServer(ON), since);
      expect(await nextData(client)).toEqual({ channel: 'a', recovered: false });
      expect(await nextData(client)).toMatchObject({ channel: 'b', recovered: false });
    },
  );

  it('is what makes the connection positioned', async () => {
    const server = await startServer(ON);
    const client = await connectSince(server, undefined);
    expect(await client.nextText()).toBe(subscribed('a'));
    expect(await client.nextText()).toBe(subscribed('b'));
    await server.broadcast('a', { n: 1 });
    expect(await client.next()).toEqual({ n: 1 });
  });
});

describe('the header fields of a handshake', () => {
  /** A handshake whose header has about so many bytes. */
  function padded(bytes: number): string {
    const headers = bearer(sign({ channels: ['a'] }));
    const { length } = handshake({ headers: { ...headers, 'X-Padding': '' } });
    return handshake({ headers: { ...headers, 'X-Padding': 'x'.repeat(bytes - length) } });
  }

  it.each([
    ['true', 64_000, 101],
    ['true', 67_000, 431],
    ['false', 16_000, 101],
    ['false', 17_000, 431],
  ])('with TOKEN_AT_CONNECT=%s and %i bytes are answered with %i', async (on, bytes, status) => {
    const { raw } = await startServer({ TOKEN_AT_CONNECT: on });
    const connection = await raw();
    connection.write(padded(bytes));
    expect((await connection.reply()).status).toBe(status);
  });
});
