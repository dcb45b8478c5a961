import { once } from 'node:events';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { BAD_CHANNELS, BAD_TOKENS } from '../support/bad-tokens.ts';
import { clientFrame } from '../support/client-frame.ts';
import { handshake } from '../support/handshake.ts';
import { startServer } from '../support/server.ts';
import { now, sign } from '../support/tokens.ts';

afterEach(() => {
  vi.useRealTimers();
});

describe('GET /subscribe', () => {
  it.each(['/subscribe', '/subscribe/', '/subscribe?user=1', '/subscribe/?user=1'])(
    'upgrades %s, without a subprotocol or an extension',
    async (path) => {
      const { raw } = await startServer();
      const connection = await raw();
      connection.write(
        handshake({
          path,
          headers: {
            'Sec-WebSocket-Protocol': 'chat, superchat',
            'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits',
          },
        }),
      );
      // The accept value of RFC 6455 §1.3's own example key.
      expect((await connection.reply()).text).toBe(
        'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
          'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n',
      );
    },
  );

  it('sends nothing before the first message of the client', async () => {
    const { connect } = await startServer();
    const client = await connect();
    expect(await client.send({ event: 'ping' }).nextText()).toBe('{"event":"pong"}');
  });

  it('answers messages that arrive in the packet of the handshake', async () => {
    const { raw } = await startServer();
    const connection = await raw();
    connection.write(Buffer.concat([Buffer.from(handshake()), clientFrame('{"event":"ping"}')]));
    expect((await connection.reply()).status).toBe(101);
    expect((await connection.take(18)).toString('latin1')).toBe('\x81\x10{"event":"pong"}');
  });

  const version = { 'sec-websocket-version': '13' };
  it.each([
    ['on another path', { path: '/other' }, 404, 'Not found', {}],
    ['on /', { path: '/' }, 404, 'Not found', {}],
    ['on /info.json', { path: '/info.json' }, 404, 'Not found', {}],
    [
      'of version 8',
      { headers: { 'Sec-WebSocket-Version': '8' } },
      426,
      'Sec-WebSocket-Version must be 13',
      version,
    ],
    [
      'of no version',
      { headers: { 'Sec-WebSocket-Version': undefined } },
      426,
      'Sec-WebSocket-Version must be 13',
      version,
    ],
    [
      'without a key',
      { headers: { 'Sec-WebSocket-Key': undefined } },
      400,
      'Sec-WebSocket-Key must be 16 bytes in base64',
      {},
    ],
    [
      'with a bad key',
      { headers: { 'Sec-WebSocket-Key': 'short' } },
      400,
      'Sec-WebSocket-Key must be 16 bytes in base64',
      {},
    ],
    ['without a Host', { headers: { Host: undefined } }, 400, 'Host header is required', {}],
    [
      'with a broken subprotocol',
      { headers: { 'Sec-WebSocket-Protocol': 'a,,b' } },
      400,
      'Invalid Sec-WebSocket-Protocol header',
      {},
    ],
  ])('refuses a handshake %s with a whole answer', async (_, change, status, error, fields) => {
    const { raw } = await startServer();
    const connection = await raw();
    connection.write(handshake(change));
    const reply = await connection.reply();
    expect(reply.status).toBe(status);
    expect(reply.headers).toMatchObject({ 'content-type': 'application/json', ...fields });
    expect(reply.headers['connection']).toMatch(/\bclose$/);
    expect(reply.body).toBe(JSON.stringify({ error }));
    expect((await connection.ended).length).toBe(0);
  });

  it.each([
    ['an upgrade to something else', { headers: { Upgrade: 'h2c' } }, 426, 'Upgrade required'],
    ['an upgrade by POST', { method: 'POST' }, 405, 'Method not allowed'],
  ])('answers %s as if it were none', async (_, change, status, error) => {
    const { raw } = await startServer();
    const connection = await raw();
    connection.write(handshake(change));
    expect(await connection.reply()).toMatchObject({ status, body: JSON.stringify({ error }) });
  });
});

describe('authenticate', () => {
  it('confirms every channel in the order of the token', async () => {
    const { connect } = await startServer();
    const client = (await connect()).authenticate(sign({ channels: ['user:1', '', '__proto__'] }));
    expect(await client.nextText()).toBe(
      '{"event":"subscribed","data":"{\\"channel\\":\\"user:1\\"}"}',
    );
    expect(await client.nextText()).toBe('{"event":"subscribed","data":"{\\"channel\\":\\"\\"}"}');
    expect(await client.nextText()).toBe(
      '{"event":"subscribed","data":"{\\"channel\\":\\"__proto__\\"}"}',
    );
  });

  it.each(['__proto__', 'constructor', 'toString', '', ' ', '\0', 'кана́л', '频道', '🌈', '\ufffd'])(
    'delivers on the channel %j',
    async (channel) => {
      const { connect, broadcast } = await startServer();
      const client = await (await connect()).subscribe(channel);
      expect(await broadcast(channel, { n: 1 })).toBe(1);
      expect(await client.next()).toEqual({ n: 1 });
    },
  );

  it('adds the channels of another token and confirms all of its entries, duplicates too', async () => {
    const { connect, broadcast, stats } = await startServer();
    const client = await (await connect()).subscribe('a');
    const token = sign({ channels: ['b', 'a', 'b'], exp: now() + 60 });

    for (const _ of ['once', 'the same again']) {
      client.authenticate(token);
      for (const channel of ['b', 'a', 'b']) {
        expect(await client.next()).toEqual({
          event: 'subscribed',
          data: JSON.stringify({ channel }),
        });
      }
    }

    expect(await stats()).toEqual({ deliveries: 7, connected: 2 });
    expect(await broadcast('a', { n: 1 })).toBe(1);
    expect(await client.next()).toEqual({ n: 1 });
    await client.ping();
  });

  it('sends nothing for no channels and leaves the socket open', async () => {
    const { connect, stats } = await startServer();
    const client = (await connect()).authenticate(sign({ channels: [] }));
    await client.ping();
    expect(await stats()).toEqual({ deliveries: 0, connected: 0 });
  });

  it('checks exp when the token arrives, not afterwards', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    const { connect, broadcast } = await startServer();
    const token = sign({ channels: ['a'], exp: now() });
    const client = (await connect()).authenticate(token);
    await client.next();

    vi.setSystemTime(Date.now() + 1_000);

    expect(await broadcast('a', { n: 1 })).toBe(1);
    expect(await client.next()).toEqual({ n: 1 });
    client.authenticate(token);
    expect(await client.closed).toMatchObject({ code: 4401 });
  });

  it.each<readonly [string, unknown]>([
    ...BAD_TOKENS,
    ['that is missing', undefined],
    ['that is null', null],
    ['that is an object', { channels: ['a'] }],
  ])('closes with 4401 at a token %s, whether authenticated before or not', async (_, token) => {
    const { connect, stats } = await startServer();
    const stranger = await connect();
    const member = await (await connect()).subscribe('a', 'b');
    for (const client of [stranger, member]) {
      client.authenticate(token);
      expect(await client.closed).toEqual({ code: 4401, reason: 'Not Authorized!' });
    }
    expect(await stats()).toEqual({ deliveries: 2, connected: 0 });
  });

  it.each(BAD_CHANNELS)(
    'closes and joins nothing when the channels are %s',
    async (_, token, code, reason) => {
      const { connect, stats } = await startServer();
      const client = await connect();
      client.authenticate(token);
      expect(await client.closed).toEqual({ code, reason });
      expect(await stats()).toEqual({ deliveries: 0, connected: 0 });
    },
  );
});

describe('a message of a client', () => {
  it('{"event":"ping"} is answered before and after authentication', async () => {
    const { connect } = await startServer();
    const client = await connect();
    expect(await client.send('{"event":"ping"}').nextText()).toBe('{"event":"pong"}');
    await client.subscribe('a');
    expect(await client.send('{"data":1,"event":"ping"}').nextText()).toBe('{"event":"pong"}');
  });

  it.each([
    '{}',
    '{"event":"unknown"}',
    '{"event":"broadcast","channel":"a","message":{}}',
    '{"event":null}',
    '{"event":["ping"]}',
    '{"Event":"ping"}',
    '{"__proto__":{"event":"ping"}}',
    '{"event":"ping","event":"other"}',
  ])('%s is ignored', async (text) => {
    const { connect } = await startServer();
    const client = await (await connect()).subscribe('a');
    client.send(text);
    // Exactly one answer comes, the one to this ping.
    await client.ping();
    await client.ping();
    expect(client.waiting).toBe(0);
  });

  it('of binary type is ignored, whatever it says', async () => {
    const { connect } = await startServer();
    const client = await connect();
    client.socket.send(Buffer.from('{"event":"ping"}'));
    client.socket.send(Buffer.from('garbage'));
    await client.ping();
    await client.ping();
    expect(client.waiting).toBe(0);
  });

  it.each(['', 'garbage', '[]', 'null', '1', '"ping"', '{"event":"ping"', '['.repeat(60_000)])(
    'that is no JSON object closes with 4400 and gives up all channels',
    async (text) => {
      const { connect, stats, broadcast } = await startServer();
      const client = await (await connect()).subscribe('a');
      client.send(text);
      // Too late: the server has hung up.
      client.authenticate(sign({ channels: ['b'] }));
      expect(await client.closed).toEqual({ code: 4400, reason: 'Invalid message' });
      expect(await stats()).toEqual({ deliveries: 1, connected: 0 });
      expect(await broadcast('a', {})).toBe(0);
    },
  );

  it('may be as long as MAX_MESSAGE_BYTES; one byte more closes with 1009', async () => {
    const { connect } = await startServer({ MAX_MESSAGE_BYTES: '1000' });
    const client = await connect();
    client.send('{"event":"ping"}'.padEnd(1_000));
    expect(await client.nextText()).toBe('{"event":"pong"}');
    client.send('{"event":"ping"}'.padEnd(1_001));
    expect(await client.closed).toEqual({ code: 1009, reason: '' });
  });

  it('may be 65,536 bytes long by default', async () => {
    const { connect } = await startServer();
    const client = await connect();
    client.send('{"event":"ping"}'.padEnd(65_536));
    expect(await client.nextText()).toBe('{"event":"pong"}');
    client.send('{"event":"ping"}'.padEnd(65_537));
    expect(await client.closed).toEqual({ code: 1009, reason: '' });
  });
});

describe('the answers', () => {
  it('come in the order of the messages', async () => {
    const { connect } = await startServer();
    const client = await connect();
    for (let n = 0; n < 20; n += 1) {
      client.send({ event: 'ping' }).authenticate(sign({ channels: [`a${n}`, `b${n}`] }));
    }
    for (let n = 0; n < 20; n += 1) {
      expect(await client.next()).toEqual({ event: 'pong' });
      expect(await client.next()).toMatchObject({ data: JSON.stringify({ channel: `a${n}` }) });
      expect(await client.next()).toMatchObject({ data: JSON.stringify({ channel: `b${n}` }) });
    }
  });

  it('that wait are written before a close frame of the server', async () => {
    const { connect } = await startServer();
    const client = await connect();
    client
      .send({ event: 'ping' })
      .authenticate(sign({ channels: ['a'] }))
      .send('garbage');
    expect(await client.next()).toEqual({ event: 'pong' });
    expect(await client.next()).toMatchObject({ event: 'subscribed' });
    expect(await client.closed).toEqual({ code: 4400, reason: 'Invalid message' });
  });

  it('never follow a close frame', async () => {
    const { raw } = await startServer();
    const connection = await raw();
    connection.write(handshake());
    await connection.reply();
    connection.write(
      Buffer.concat([
        clientFrame('{"event":"ping"}'),
        clientFrame(Buffer.from([3, 232]), { first: 0x88 }),
        clientFrame('{"event":"ping"}'),
      ]),
    );
    // ws answers the close at once; the pong that waited for the end of the turn is dropped.
    expect(await connection.ended).toEqual(Buffer.from([0x88, 2, 3, 232]));
  });
});

describe('control frames', () => {
  it('a ping frame is answered with its payload, a close frame echoed', async () => {
    const { connect } = await startServer();
    const client = await connect();
    client.socket.ping('abc');
    const [payload] = await once(client.socket, 'pong');
    expect(payload.toString()).toBe('abc');

    client.socket.close(4999, 'bye');
    expect(await client.closed).toEqual({ code: 4999, reason: 'bye' });
  });

  it.each([
    ['an unmasked frame', clientFrame('{}', { masked: false }), 1002],
    ['a reserved bit', clientFrame('{}', { first: 0xc1 }), 1002],
    ['a reserved opcode', clientFrame('{}', { first: 0x83 }), 1002],
    ['a fragmented ping', clientFrame('', { first: 0x09 }), 1002],
    ['a continuation of nothing', clientFrame('{}', { first: 0x80 }), 1002],
    ['text that is not UTF-8', clientFrame(Buffer.from([0xc3, 0x28])), 1007],
    ['a close frame with one byte', clientFrame('x', { first: 0x88 }), 1002],
    ['a close frame with code 1005', clientFrame(Buffer.from([3, 237]), { first: 0x88 }), 1002],
    [
      'too many fragments',
      Buffer.concat([
        clientFrame('{', { first: 0x01 }),
        ...Array.from({ length: 200 }, () => clientFrame(' ', { first: 0x00 })),
      ]),
      1008,
    ],
  ])('%s closes with the code of RFC 6455 and leaves nothing behind', async (_, bytes, code) => {
    const { raw, stats } = await startServer();
    const connection = await raw();
    connection.write(handshake());
    await connection.reply();
    connection.write(clientFrame('{"event":"ping"}'));
    await connection.take(18);
    connection.write(bytes);
    const expected = Buffer.from([0x88, 2, code >> 8, code & 0xff]);
    expect(await connection.ended).toEqual(expected);
    expect(await stats()).toEqual({ deliveries: 0, connected: 0 });
  });
});
