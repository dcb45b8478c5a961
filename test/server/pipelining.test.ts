import { describe, expect, it } from 'vitest';
import { handshake } from '../support/handshake.ts';
import { startServer } from '../support/server.ts';
import { sign } from '../support/tokens.ts';

describe('requests sent before the answer to the last one', () => {
  const body = JSON.stringify({ token: sign({ channel: 'a', message: {} }) });
  const post = (fields: string) =>
    `POST /broadcast HTTP/1.1\r\nHost: x\r\n${fields}Content-Length: ${body.length}\r\n\r\n${body}`;
  const H2C = 'Connection: Upgrade\r\nUpgrade: h2c\r\n';

  it('are answered in turn', async () => {
    const { raw } = await startServer();
    const connection = await raw();
    connection.write(post('').repeat(5));
    for (let n = 0; n < 5; n += 1) expect((await connection.reply()).status).toBe(200);
  });

  it.each([
    ['one', post('')],
    ['several', post('').repeat(3)],
  ])('are answered before a websocket behind %s is refused', async (_, requests) => {
    const { raw, broadcast } = await startServer();
    const connection = await raw();
    connection.write(requests + handshake() + post(''));
    for (let n = 0; n < requests.length; n += post('').length) {
      expect((await connection.reply()).body).toBe('{"message":"Success","deliveries":0}');
    }
    expect(await connection.reply()).toMatchObject({
      status: 400,
      headers: { connection: 'close', 'content-type': 'application/json' },
      body: '{"error":"Bad request"}',
    });
    expect((await connection.ended).length).toBe(0);
    expect(await broadcast('a', {})).toBe(0);
  });

  it.each([
    ['what is no HTTP', 'garbage\r\n\r\n', 400],
    ['CONNECT', 'CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n', 404],
  ])('are answered before %s is refused', async (_, request, status) => {
    const { raw } = await startServer();
    const connection = await raw();
    connection.write(post('') + request).write('garbage');
    expect((await connection.reply()).status).toBe(200);
    connection.write('garbage');
    expect((await connection.reply()).status).toBe(status);
    expect((await connection.ended).length).toBe(0);
  });

  it('are answered although one of them asks for an upgrade that is ignored', async () => {
    const { raw } = await startServer();
    const connection = await raw();
    // Node 25 and later drop what comes in one packet behind a request whose upgrade they ignore.
    const isDropped = Number(process.versions.node.split('.')[0]) >= 25;
    const first = [post(''), post(H2C)];
    const packets = isDropped ? [first, [post('')]] : [[...first, post('')]];
    // More often than a socket may have listeners before Node warns of a leak.
    for (let n = 0; n < 12; n += 1) {
      for (const packet of packets) {
        connection.write(packet.join(''));
        for (const _ of packet) expect((await connection.reply()).status).toBe(200);
      }
    }
  });

  it('end their connection when more than a hundred wait', async () => {
    const { raw, broadcast } = await startServer();
    const connection = await raw();
    connection.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(1_000));
    const text = await connection.ended.catch(() => Buffer.alloc(0));
    expect(text.toString('latin1').split('HTTP/1.1 200').length).toBeLessThan(500);
    expect(await broadcast('a', {})).toBe(0);
  });

  it.each([
    ['an upgrade to be ignored', post('') + post(H2C)],
    ['a websocket', post('') + handshake()],
    ['a websocket, in the middle of many', post('') + post('') + handshake() + post('')],
  ])('with %s among them end no more than their connection', async (_, requests) => {
    const { raw, broadcast } = await startServer();
    for (let n = 0; n < 20; n += 1) {
      const connection = await raw();
      connection.write(requests);
      connection.write(post('')).write(post(''));
      connection.socket.end();
      const text = await connection.ended.catch(() => Buffer.alloc(0));
      // A websocket whose first bytes were the answer to a POST would be worse than none.
      expect(text.toString('latin1')).not.toMatch(/ 101 [\s\S]*HTTP/);
    }
    expect(await broadcast('a', {})).toBe(0);
  });

  it('are not read from the body of a request whose upgrade is ignored', async () => {
    const { raw } = await startServer();
    const connection = await raw();
    const hidden = 'GET /info.json HTTP/1.1\r\nHost: x\r\n\r\n';
    connection.write(
      `POST /broadcast HTTP/1.1\r\nHost: x\r\n${H2C}${'a:b\r\n'.repeat(1_100)}` +
        `Content-Length: ${hidden.length}\r\n\r\n${hidden}`,
    );
    expect((await connection.reply()).body).toBe('{"error":"Body must be a JSON object"}');
    connection.write('GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n');
    expect((await connection.reply()).status).toBe(404);
  });
});

describe("what Node's parser refuses", () => {
  it('gets no error answer after the first byte of another answer', async () => {
    const { raw } = await startServer({ MAX_BODY_BYTES: '1000' });
    const connection = await raw();
    const chunk = `800\r\n${'x'.repeat(0x800)}\r\n`;
    connection.write(
      `POST /broadcast HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}`,
    );
    expect((await connection.reply()).status).toBe(413);
    connection.write('zz\r\n');
    expect((await connection.ended.catch(() => Buffer.alloc(0))).length).toBe(0);
  });

  it.each([
    ['garbage', 'garbage\r\n\r\n', 400],
    ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400],
    ['two lengths', 'GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n', 400],
    [
      'a length and chunks',
      'POST /broadcast HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
      400,
    ],
    ['no Host', 'GET / HTTP/1.1\r\n\r\n', 400],
    ['two Hosts', 'GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n', 400],
    ['two Hosts of an upgrade', handshake({ headers: { hOST: 'localhost' } }), 400],
    ['two Hosts of HTTP/1.0', 'GET / HTTP/1.0\r\nHost: x\r\nhost: y\r\n\r\n', 400],
    [
      'a broken chunk',
      'POST /broadcast HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n',
      400,
    ],
    ['oversized fields', `GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(100_000)}\r\n\r\n`, 431],
    ['a strange expectation', 'POST / HTTP/1.1\r\nHost: x\r\nExpect: cake\r\n\r\n', 417],
    ['CONNECT', 'CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n', 404],
  ])('%s is answered in JSON', async (_, request, status) => {
    const { raw } = await startServer();
    const connection = await raw();
    connection.write(request);
    const reply = await connection.reply();
    expect(reply.status).toBe(status);
    expect(reply.headers['content-type']).toBe('application/json');
    expect(Object.keys(JSON.parse(reply.body))).toEqual(['error']);
  });
});
