import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { clientFrame } from '../support/client-frame.ts';
import { handshake } from '../support/handshake.ts';
import { startServer } from '../support/server.ts';
import { sign } from '../support/tokens.ts';

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
