import { describe, expect, it } from 'vitest';
import { startServer } from '../support/server.ts';
import { now } from '../support/tokens.ts';

const DEVELOPMENT = { NODE_ENV: 'development' };

describe('POST /test/token', () => {
  async function startMint() {
    const server = await startServer(DEVELOPMENT);
    const ask = (body: unknown, headers: Record<string, string> = {}) =>
      fetch(`${server.url}/test/token`, {
        method: 'POST',
        headers,
        body: typeof body === 'string' ? body : JSON.stringify(body),
      });
    const mint = async (claims: unknown) => {
      const response = await ask({ claims });
      expect(response.status).toBe(200);
      return ((await response.json()) as { token: string }).token;
    };
    return { ...server, ask, mint };
  }

  const claimsOf = (token: string) =>
    JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());

  it('mints tokens that subscribe and broadcast', async () => {
    const { connect, mint, post } = await startMint();
    const alice = (await connect()).authenticate(await mint({ channels: ['user:1'] }));
    expect(await alice.nextText()).toBe(
      '{"event":"subscribed","data":"{\\"channel\\":\\"user:1\\"}"}',
    );

    const token = await mint({ channel: 'user:1', message: '{"n": 1.0}' });
    const answer = await post(JSON.stringify({ token }));
    expect(await answer.text()).toBe('{"message":"Success","deliveries":1}');
    expect(await alice.nextText()).toBe('{"n": 1.0}');
  });

  it('lets them live for a minute', async () => {
    const { mint } = await startMint();
    const earliest = now() + 60;
    const { exp, ...claims } = claimsOf(await mint({ channels: [] }));
    expect(claims).toEqual({ channels: [] });
    expect(exp).toBeGreaterThanOrEqual(earliest);
    expect(exp).toBeLessThanOrEqual(now() + 60);
  });

  it('leaves an exp that is asked for', async () => {
    const { connect, mint } = await startMint();
    const expired = await mint({ channels: ['user:1'], exp: 1_000_000_000 });
    expect(claimsOf(expired).exp).toBe(1_000_000_000);
    const alice = (await connect()).authenticate(expired);
    expect(await alice.closed).toEqual({ code: 4401, reason: 'Not Authorized!' });
  });

  it('answers JSON that is not cached', async () => {
    const { ask } = await startMint();
    const { headers } = await ask({ claims: {} });
    expect(headers.get('content-type')).toBe('application/json');
    expect(headers.get('cache-control')).toBe('no-store');
  });

  it('mints for its own page, behind a proxy with TLS too', async () => {
    const { ask, port } = await startMint();
    for (const scheme of ['http', 'https']) {
      const response = await ask({ claims: {} }, { Origin: `${scheme}://127.0.0.1:${port}` });
      expect(response.status).toBe(200);
    }
  });

  it.each(['https://evil.example', 'http://127.0.0.1', 'http://127.0.0.1:1', 'null', ''])(
    'answers 403 to a page of the origin "%s"',
    async (origin) => {
      const { ask } = await startMint();
      const response = await ask({ claims: { channels: ['user:1'] } }, { Origin: origin });
      expect(response.status).toBe(403);
      expect(await response.text()).toBe('{"error":"Only the playground itself may ask"}');
    },
  );

  it.each<[number, string, Record<string, string>?]>([
    [200, 'localhost:3000'],
    [200, 'bifrost.localhost'],
    [200, '192.168.1.7:3000'],
    [200, '[::1]:3000'],
    [403, 'evil.example:3000'],
    [403, '127.0.0.1.evil.example'],
    [403, 'dev.example'],
    [200, 'dev.example', { ALLOWED_ORIGINS: 'https://dev.example' }],
    [403, 'evil.example', { ALLOWED_ORIGINS: 'https://dev.example' }],
  ])('answers %i to its own page under the name %s', async (status, host, env = {}) => {
    const { raw } = await startServer({ ...DEVELOPMENT, ...env });
    const body = '{"claims":{}}';
    const connection = (await raw()).write(
      `POST /test/token HTTP/1.1\r\nHost: ${host}\r\nOrigin: https://${host}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    expect((await connection.reply()).status).toBe(status);
  });

  it('answers 403 to an origin that only begins with its own', async () => {
    const { ask, port } = await startMint();
    const response = await ask({ claims: {} }, { Origin: `http://127.0.0.1:${port}.evil.example` });
    expect(response.status).toBe(403);
  });

  it.each([
    ['', 'Body must be a JSON object'],
    ['{', 'Body must be a JSON object'],
    ['null', 'Body must be a JSON object'],
    ['[]', 'Body must be a JSON object'],
    ['{}', 'claims must be a JSON object'],
    ['{"claims":null}', 'claims must be a JSON object'],
    ['{"claims":[]}', 'claims must be a JSON object'],
    ['{"claims":"channels"}', 'claims must be a JSON object'],
    ['{"claims":{"exp":"soon"}}', 'exp, nbf and iat must be numbers'],
    ['{"claims":{"exp":null}}', 'exp, nbf and iat must be numbers'],
  ])('answers the body %j with 400 %s', async (body, error) => {
    const { ask } = await startMint();
    const response = await ask(body);
    expect(response.status).toBe(400);
    expect(await response.text()).toBe(JSON.stringify({ error }));
  });

  it('answers 413 when the body is longer than allowed', async () => {
    const { url } = await startServer({ ...DEVELOPMENT, MAX_BODY_BYTES: '128' });
    const response = await fetch(`${url}/test/token`, { method: 'POST', body: 'x'.repeat(129) });
    expect(response.status).toBe(413);
  });

  it('answers 405 to GET', async () => {
    const { url } = await startServer(DEVELOPMENT);
    const response = await fetch(`${url}/test/token`);
    expect(response.status).toBe(405);
    expect(response.headers.get('allow')).toBe('POST');
  });
});
