import { describe, expect, it } from 'vitest';
import type { RawReply } from '../support/raw.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { now, type SignOptions, signText } from '../support/tokens.ts';

/** The token as ruby-jwt makes it: no `typ`, claims in the order in which the client writes them. */
function clientToken(data: string | null, options: SignOptions & { lifetime?: number } = {}) {
  const exp = now() + (options.lifetime ?? 60);
  return signText(
    `{"channel":"user:1","message":{"event":"x","data":${JSON.stringify(data)}},"exp":${exp}}`,
    { header: { alg: 'HS512' }, ...options },
  );
}

/** What Ruby's HTTP libraries put on the wire for the client, byte for byte. */
const REQUESTS = {
  'http.rb': (host: string, token: string) => {
    const body = `{"token":"${token}"}`;
    return [
      'POST /broadcast HTTP/1.1',
      'Connection: close',
      'Content-Type: application/json; charset=utf-8',
      `Host: ${host}`,
      'User-Agent: http.rb/4.4.1',
      `Content-Length: ${body.length}`,
      '',
      body,
    ].join('\r\n');
  },
  'Net::HTTP': (host: string, token: string) => {
    const body = `{"token":"${token}"}`;
    return [
      'POST /broadcast HTTP/1.1',
      'Accept-Encoding: gzip;q=1.0,deflate;q=0.6,identity;q=0.3',
      'Accept: */*',
      'User-Agent: Ruby',
      'Content-Type: application/json',
      'Connection: close',
      `Host: ${host}`,
      `Content-Length: ${body.length}`,
      '',
      body,
    ].join('\r\n');
  },
};

type Library = keyof typeof REQUESTS;
const LIBRARIES = Object.keys(REQUESTS) as Library[];

/** Posts the token and resolves to the answer, once the server has closed the connection as it was asked to. */
async function post(server: TestServer, library: Library, token: string): Promise<RawReply> {
  const raw = await server.raw();
  const reply = await raw.write(REQUESTS[library](`127.0.0.1:${server.port}`, token)).reply();
  const rest = await raw.ended;
  expect(rest).toHaveLength(0);
  return reply;
}

describe.each(LIBRARIES)('the Ruby client over %s', (library) => {
  it.each([
    ['no data', null, '{"event":"x","data":null}'],
    [
      'data of its own JSON',
      '{"id":1,"name":"Bj\u00f6rk"}',
      '{"event":"x","data":"{\\"id\\":1,\\"name\\":\\"Björk\\"}"}',
    ],
  ])('is told that a message with %s was delivered, and it was', async (_, data, delivered) => {
    const server = await startServer();
    const alice = await (await server.connect()).subscribe('user:1');
    const bob = await (await server.connect()).subscribe('user:1');

    const reply = await post(server, library, clientToken(data));

    expect(reply.status).toBe(200);
    expect(reply.headers['content-type']).toBe('application/json');
    expect(reply.body).toBe('{"message":"Success","deliveries":2}');
    expect(await alice.nextText()).toBe(delivered);
    expect(await bob.nextText()).toBe(delivered);
  });

  it('is told 0 deliveries when nobody listens', async () => {
    const reply = await post(await startServer(), library, clientToken(null));
    expect(reply.status).toBe(200);
    expect(reply.body).toBe('{"message":"Success","deliveries":0}');
  });

  it.each([
    ['another secret', () => clientToken(null, { secret: 'another secret' }), 'Bad signature'],
    ['a token that has expired', () => clientToken(null, { lifetime: -60 }), 'Bad signature'],
    ['an empty token', () => '', 'Bad signature'],
    [
      'a message that is no object',
      () => signText('{"channel":"user:1","message":1}', { header: { alg: 'HS512' } }),
      'message must be a JSON object',
    ],
  ])('can parse the answer to %s', async (_, token, error) => {
    const server = await startServer();
    const alice = await (await server.connect()).subscribe('user:1');

    const reply = await post(server, library, token());

    expect(reply.status).toBe(400);
    expect(reply.headers['content-type']).toBe('application/json');
    expect(JSON.parse(reply.body)).toEqual({ error });
    // The pong is the first thing that alice gets, so nothing was delivered.
    await alice.ping();
  });
});
