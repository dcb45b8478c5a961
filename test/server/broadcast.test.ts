import { afterEach, describe, expect, it, vi } from 'vitest';
import { answer, json } from '../support/answers.ts';
import { clientFrame } from '../support/client-frame.ts';
import { handshake } from '../support/handshake.ts';
import { startServer } from '../support/server.ts';
import { now, sign, signText } from '../support/tokens.ts';

afterEach(() => {
  vi.useRealTimers();
});

const MESSAGE = { event: 'new_item', data: '{}' };

describe('POST /broadcast', () => {
  it('answers success with the number of sockets that the message was handed to', async () => {
    const { post, connect } = await startServer();
    await (await connect()).subscribe('user:1');
    await (await connect()).subscribe('user:1', 'user:2');
    await (await connect()).subscribe('user:2');

    const response = await post(
      JSON.stringify({ token: sign({ channel: 'user:1', message: MESSAGE }) }),
    );

    expect(await answer(response)).toEqual(json(200, '{"message":"Success","deliveries":2}'));
  });

  it('answers 0 deliveries when nobody is subscribed', async () => {
    const { broadcast } = await startServer();
    expect(await broadcast('nobody', MESSAGE)).toBe(0);
  });

  it('delivers nothing to subscribers of other channels', async () => {
    const { connect, broadcast } = await startServer();
    const bob = await (await connect()).subscribe('user:2');

    await broadcast('user:1', { event: 'secret' });
    await broadcast('user:2', { event: 'fence' });

    // Frames keep their order, so the fence coming first proves the secret never came.
    expect(await bob.next()).toEqual({ event: 'fence' });
  });

  it('keeps one order for every socket and across its channels', async () => {
    const { connect, broadcast } = await startServer();
    const clients = await Promise.all([connect(), connect()]);
    for (const client of clients) await client.subscribe('a', 'b');

    for (let n = 0; n < 50; n += 1) await broadcast(n % 3 === 0 ? 'a' : 'b', { n });

    for (const client of clients) {
      for (let n = 0; n < 50; n += 1) expect(await client.next()).toEqual({ n });
    }
  });

  it.each([
    ['without exp', { channel: 'a', message: MESSAGE }],
    ['with a header of just {"alg":"HS512"}', { channel: 'a', message: MESSAGE, exp: now() + 60 }],
    ['with an nbf skewed by a second', { channel: 'a', message: MESSAGE, nbf: now() + 1 }],
    ['for the channel with the empty name', { channel: '', message: MESSAGE }],
    ['for a channel of every script', { channel: 'кана́л 频道 🌈 __proto__', message: MESSAGE }],
    ['with an empty message', { channel: 'a', message: {} }],
  ])('accepts a token %s', async (_, claims) => {
    const { post } = await startServer();
    const token = sign(claims, { header: { alg: 'HS512' } });
    expect(await answer(await post(JSON.stringify({ token })))).toEqual(
      json(200, '{"message":"Success","deliveries":0}'),
    );
  });

  it('accepts a token in the very second of its exp and refuses it in the next', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    const { post } = await startServer();
    const body = JSON.stringify({ token: sign({ channel: 'a', message: MESSAGE, exp: now() }) });
    expect((await post(body)).status).toBe(200);
    vi.setSystemTime(Date.now() + 1_000);
    expect((await post(body)).status).toBe(400);
  });

  it('accepts a JSON body whatever its Content-Type says', async () => {
    const { post } = await startServer();
    const body = JSON.stringify({ token: sign({ channel: 'a', message: MESSAGE }) });
    for (const type of ['application/json; charset=utf-8', 'text/plain', 'x', '']) {
      expect((await post(body, { 'Content-Type': type })).status).toBe(200);
    }
  });

  it.each([
    ['key order, integer-like keys too', '{"b":1,"10":2,"a":3,"9":4}'],
    ['the key __proto__', '{"__proto__":{"x":1},"constructor":null}'],
    ['big integers', '{"id":9007199254740993,"neg":-12345678901234567890}'],
    ['1.0, 1e3 and -0', '{"a":1.0,"b":1e3,"c":-0,"d":1E+400}'],
    ['escapes', '{"a":"\\u0041\\/\\ud83c\\udf08\\ud800 \\" } ,"}'],
    ['white space', '{ "a" :\t[ 1 ,\r\n{ } ] }'],
    ['repeated keys', '{"a":1,"a":2,"a":[{"a":3}]}'],
    ['every script', '{"a":"кана́л 频道 🌈"}'],
    ['65,536 bytes', `{"a":"${'é'.repeat(32_764)}"}`],
  ])('delivers a message as it was signed: %s', async (_, message) => {
    const { post, connect } = await startServer();
    const client = await (await connect()).subscribe('a');
    for (const payload of [
      `{"channel":"a","message":${message}}`,
      `\n{"message" : ${message} , "channel":"a" }\t`,
      `{"message":{"not":"this"},"channel":"a","\\u006dessage":${message}}`,
    ]) {
      expect((await post(JSON.stringify({ token: signText(payload) }))).status).toBe(200);
      expect(await client.nextText()).toBe(message);
    }
  });

  it.each([
    ['an object', '{"event":"x", "data":1.0}', '{"event":"x", "data":1.0}'],
    ['an object behind white space', ' {"a":1}\n', ' {"a":1}\n'],
    ['a lone surrogate, as its escape', '{"a":"\ud800"}', '{"a":"\\ud800"}'],
  ])('delivers a message that is a string with the JSON of %s', async (_, message, delivered) => {
    const { broadcast, connect } = await startServer();
    const client = await (await connect()).subscribe('a');
    expect(await broadcast('a', message)).toBe(1);
    expect(await client.nextText()).toBe(delivered);
  });

  it('sends one unfragmented text frame', async () => {
    const { raw, broadcast } = await startServer();
    const connection = await raw();
    connection.write(handshake());
    expect((await connection.reply()).status).toBe(101);
    connection.write(
      clientFrame(JSON.stringify({ event: 'authenticate', data: sign({ channels: ['a'] }) })),
    );
    const confirmation = '{"event":"subscribed","data":"{\\"channel\\":\\"a\\"}"}';
    expect(await connection.take(2 + confirmation.length)).toEqual(
      Buffer.from(`\x81${String.fromCharCode(confirmation.length)}${confirmation}`, 'latin1'),
    );

    await broadcast('a', { n: 1 });

    expect(await connection.take(9)).toEqual(Buffer.from('\x81\x07{"n":1}', 'latin1'));
  });

  it('accepts a body of MAX_BODY_BYTES and answers 413 to one more', async () => {
    const { post } = await startServer({ MAX_BODY_BYTES: '1000' });
    const body = JSON.stringify({ token: sign({ channel: 'a', message: MESSAGE }) });

    expect((await post(body.padEnd(1_000))).status).toBe(200);
    const refused = await post(body.padEnd(1_001));

    expect(refused.headers.get('connection')).toBe('close');
    expect(await answer(refused)).toEqual(json(413, '{"error":"Body must be at most 1000 bytes"}'));
  });

  it.each([
    ['announces its length', 'Content-Length: 100000000', 'x'],
    ['does not', 'Transfer-Encoding: chunked', `ffff\r\n${'x'.repeat(65_535)}\r\n`],
  ])('answers 413 to a client that is still sending and %s', async (_, field, start) => {
    const { raw } = await startServer({ MAX_BODY_BYTES: '1000' });
    const connection = await raw();
    connection.write(`POST /broadcast HTTP/1.1\r\nHost: x\r\n${field}\r\n\r\n${start}`);

    const reply = await connection.reply();

    expect(reply).toMatchObject({
      status: 413,
      headers: { connection: 'close', 'content-type': 'application/json' },
      body: '{"error":"Body must be at most 1000 bytes"}',
    });
    // The body never ends, so it is the server that ends the connection.
    await connection.ended;
  });

  it('answers 413 once to a body that is sent to its end nevertheless', async () => {
    const { raw, broadcast } = await startServer({ MAX_BODY_BYTES: '1000' });
    const connection = await raw();
    connection.write('POST /broadcast HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n');
    connection.write(`400\r\n${'x'.repeat(1_024)}\r\n`);
    expect((await connection.reply()).status).toBe(413);

    connection.write('1\r\nx\r\n0\r\n\r\n');

    expect((await connection.ended).length).toBe(0);
    expect(await broadcast('a', MESSAGE)).toBe(0);
  });

  it('lets a client read the 413 although it sends on for megabytes', async () => {
    const { raw } = await startServer();
    const connection = await raw();
    connection.write('POST /broadcast HTTP/1.1\r\nHost: x\r\nContent-Length: 8000000\r\n\r\n');
    for (let n = 0; n < 80; n += 1) connection.write(Buffer.alloc(100_000));
    expect((await connection.reply()).status).toBe(413);
    expect((await connection.ended).length).toBe(0);
  });

  it('keeps serving after a client that disconnected in the middle of its body', async () => {
    const { raw, broadcast } = await startServer();
    for (const leave of ['destroy', 'resetAndDestroy'] as const) {
      const connection = await raw();
      connection.write('POST /broadcast HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{');
      connection.socket[leave]();
      expect(await broadcast('a', MESSAGE)).toBe(0);
    }
  });
});
