import { describe, expect, it } from 'vitest';
import { handshake } from '../support/handshake.ts';
import { startServer } from '../support/server.ts';
import { SECRET, sign } from '../support/tokens.ts';

describe('JWT_SECRET_PREVIOUS', () => {
  const OLD = 'an older secret that app servers still use '.repeat(2);

  it('accepts tokens signed with older secrets, for broadcasts and subscriptions', async () => {
    const { connect, post } = await startServer({
      JWT_SECRET_PREVIOUS: `${'x'.repeat(64)},${OLD}`,
    });
    const secrets = [SECRET, OLD.trim(), 'x'.repeat(64)];
    for (const secret of secrets) {
      const client = (await connect()).authenticate(sign({ channels: ['a'] }, { secret }));
      await client.next();
    }
    for (const secret of secrets) {
      const token = sign({ channel: 'a', message: {} }, { secret });
      expect(await (await post(JSON.stringify({ token }))).json()).toMatchObject({ deliveries: 3 });
    }
  });

  it('accepts no token signed with any other secret', async () => {
    const { post } = await startServer({ JWT_SECRET_PREVIOUS: OLD });
    const token = sign({ channel: 'a', message: {} }, { secret: 'y'.repeat(64) });
    expect((await post(JSON.stringify({ token }))).status).toBe(400);
  });
});

describe('MAX_CONNECTIONS', () => {
  it('answers upgrades with 503 until a connection closes', async () => {
    const { connect, raw } = await startServer({ MAX_CONNECTIONS: '2' });
    const [first] = [await connect(), await connect()];

    const refused = await raw();
    refused.write(handshake());
    expect(await refused.reply()).toMatchObject({
      status: 503,
      headers: { 'retry-after': '5', connection: 'close', 'content-type': 'application/json' },
      body: '{"error":"Too many connections"}',
    });

    first?.socket.close();
    await first?.closed;
    await connect();
  });
});

describe('MAX_CHANNELS_PER_CONNECTION', () => {
  it('counts distinct channels of all tokens of a connection, and subscribes to none of a token that exceeds it', async () => {
    const { connect, stats } = await startServer({ MAX_CHANNELS_PER_CONNECTION: '3' });
    const client = await (await connect()).subscribe('a', 'b', 'b', 'a');
    await client.subscribe('a', 'c', 'c');
    expect((await stats()).connected).toBe(3);

    client.authenticate(sign({ channels: ['a', 'd'] }));

    expect(await client.closed).toEqual({ code: 4413, reason: 'Too many channels' });
    expect(await stats()).toEqual({ deliveries: 7, connected: 0 });
  });

  it('is 1,000 by default', async () => {
    const { connect } = await startServer();
    const channels = (count: number) => Array.from({ length: count }, (_, n) => `${n}`);
    await (await connect()).subscribe(...channels(1_000));
    const client = (await connect()).authenticate(sign({ channels: channels(1_001) }));
    expect(await client.closed).toEqual({ code: 4413, reason: 'Too many channels' });
  });
});

describe('ALLOWED_ORIGINS', () => {
  async function status(allowed: string, origin: string | undefined): Promise<number> {
    const { raw } = await startServer({ ALLOWED_ORIGINS: allowed });
    const connection = await raw();
    connection.write(handshake({ headers: { Origin: origin } }));
    const reply = await connection.reply();
    if (reply.status !== 101) expect(reply.body).toBe('{"error":"Origin not allowed"}');
    return reply.status;
  }

  const LIST = 'https://example.com, https://*.example.org:8443, HTTP://LOCALHOST:3000/';
  it.each([
    ['https://example.com', 101],
    ['HTTPS://EXAMPLE.COM', 101],
    [undefined, 101],
    ['http://localhost:3000', 101],
    ['https://a.example.org:8443', 101],
    ['https://a.b-c.example.org:8443', 101],
    ['http://example.com', 403],
    ['https://example.com:444', 403],
    ['https://www.example.com', 403],
    ['https://evilexample.com', 403],
    ['https://example.com.evil.net', 403],
    ['https://example.org:8443', 403],
    ['https://a.example.org', 403],
    ['http://a.example.org:8443', 403],
    ['https://evil.net/.example.org:8443', 403],
    ['https://evil.net:1.example.org:8443', 403],
    ['https://.example.org:8443', 403],
    ['https://evil-example.org:8443', 403],
    ['null', 403],
    ['', 403],
  ])('answers a page of %s with %i', async (origin, expected) => {
    expect(await status(LIST, origin)).toBe(expected);
  });

  it('allows null only when it is listed', async () => {
    expect(await status('null', 'null')).toBe(101);
  });

  it('allows any origin when it is not set', async () => {
    expect(await status('', 'https://anywhere.example')).toBe(101);
  });
});

describe('GET /healthz', () => {
  it('answers 200 while the server is healthy', async () => {
    const { url } = await startServer();
    const response = await fetch(`${url}/healthz`);
    expect(response.status).toBe(200);
    expect(await response.text()).toBe('{"status":"ok"}');
  });
});
