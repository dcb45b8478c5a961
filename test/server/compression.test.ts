import { afterEach, describe, expect, it, vi } from 'vitest';
import { clientFrame } from '../support/client-frame.ts';
import { handshake } from '../support/handshake.ts';
import { recordingLog } from '../support/log.ts';
import { startServer } from '../support/server.ts';
import { sign } from '../support/tokens.ts';

afterEach(() => {
  vi.useRealTimers();
});

const ON = { COMPRESSION: 'true' };
const LONG = { text: 'the same words again and again, '.repeat(64) };

/** What the server answers to an offer of extensions. */
async function negotiated(offer: string, env: Record<string, string> = ON) {
  const { raw } = await startServer(env);
  const connection = await raw();
  connection.write(handshake({ headers: { 'Sec-WebSocket-Extensions': offer } }));
  const { status, headers } = await connection.reply();
  expect(status).toBe(101);
  return headers['sec-websocket-extensions'];
}

describe('COMPRESSION', () => {
  const AGREED = 'permessage-deflate; server_no_context_takeover; client_no_context_takeover';
  it.each([
    ['permessage-deflate', AGREED],
    ['permessage-deflate; client_max_window_bits', AGREED],
    ['x-webkit-deflate-frame, permessage-deflate; client_no_context_takeover', expect.any(String)],
    ['permessage-deflate; server_max_window_bits=10', undefined],
    ['permessage-deflate; server_max_window_bits=10, permessage-deflate', AGREED],
    ['permessage-deflate; server_max_window_bits=15', expect.stringContaining('_bits=15')],
    ['permessage-deflate; mystery', undefined],
    ['permessage-deflate; client_max_window_bits=15', expect.any(String)],
    ['permessage-deflate; client_max_window_bits="8"', expect.any(String)],
    ['permessage-deflate; client_max_window_bits=7', undefined],
    ['permessage-deflate; client_max_window_bits=16', undefined],
    ['permessage-deflate; client_max_window_bits="8', undefined],
    ['permessage-deflate; client_max_window_bits; client_max_window_bits', undefined],
    ['permessage-foo', undefined],
    ['=;=', undefined],
  ])('answers the offer "%s" with %s', async (offer, expected) => {
    expect(await negotiated(offer)).toEqual(expected);
  });

  it('is not negotiated unless it is switched on', async () => {
    expect(await negotiated('permessage-deflate', {})).toBeUndefined();
  });

  it('delivers the same messages in the same order with and without', async () => {
    const { connect, broadcast } = await startServer(ON);
    const clients = [
      await connect({ perMessageDeflate: true }),
      await connect({ perMessageDeflate: false }),
      await connect({ perMessageDeflate: true }),
    ];
    expect(clients.map(({ socket }) => socket.extensions)).toEqual([
      'permessage-deflate',
      '',
      'permessage-deflate',
    ]);
    for (const client of clients) await client.subscribe('a');
    const messages = [
      { n: 1 },
      LONG,
      { n: 2 },
      { ...LONG, n: 3 },
      { text: 'кана́л 频道 🌈'.repeat(99) },
    ];

    await Promise.all(messages.map((message) => broadcast('a', message)));

    for (const client of clients) {
      const received = [];
      for (const _ of messages) received.push(await client.next());
      expect(received).toHaveLength(5);
      expect(received).toEqual(expect.arrayContaining(messages));
    }
  });

  it('closes with 1007 on a frame marked as compressed that is not, and logs that code', async () => {
    const { lines, log } = recordingLog('debug');
    const { raw, server } = await startServer(ON, log);
    const connection = await raw();
    connection.write(handshake({ headers: { 'Sec-WebSocket-Extensions': 'permessage-deflate' } }));
    await connection.reply();
    connection.write(clientFrame('not compressed at all', { first: 0xc1 }));
    expect((await connection.ended).subarray(0, 4)).toEqual(Buffer.from([0x88, 2, 3, 239]));
    connection.socket.end();
    await server.close();
    expect(lines).toContainEqual(expect.objectContaining({ msg: 'disconnected', code: 1007 }));
  });

  it('takes compressed messages of clients, and bounds what they inflate to', async () => {
    const { connect } = await startServer(ON);
    const options = { perMessageDeflate: { threshold: 0 } };
    const client = await connect(options);
    const channels = Array.from({ length: 100 }, (_, n) => `channel:${n}`);
    client.authenticate(sign({ channels }));
    for (const _ of channels) await client.next();
    await client.ping();

    client.send(' '.repeat(10_000_000));
    expect(await client.closed).toMatchObject({ code: 1009 });
  });
});
