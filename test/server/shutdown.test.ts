import { setImmediate } from 'node:timers/promises';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/config.ts';
import { createServer } from '../../src/server.ts';
import { handshake } from '../support/handshake.ts';
import type { RawConnection } from '../support/raw.ts';
import { startServer } from '../support/server.ts';
import { sign } from '../support/tokens.ts';

describe('close', () => {
  it('closes every websocket with 1001', async () => {
    const { server, connect } = await startServer();
    const clients = [await connect(), await (await connect()).subscribe('a')];

    await server.close();

    for (const client of clients) {
      expect(await client.closed).toEqual({ code: 1001, reason: 'Server shutting down' });
    }
  });

  it('destroys the connection of a peer that does not answer the close frame', async () => {
    const { server, raw } = await startServer();
    const connection = await raw();
    connection.write(handshake());
    await connection.reply();
    await server.close();
    expect((await connection.ended).subarray(0, 4)).toEqual(Buffer.from([0x88, 22, 3, 233]));
  });

  it('may be called twice: both calls wait for the same shutdown', async () => {
    const { server, connect } = await startServer();
    await connect();
    expect(server.close()).toBe(server.close());
    await server.close();
  });

  it('ends idle keep-alive connections', async () => {
    const { server, raw } = await startServer();
    const connection = await raw();
    connection.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await connection.reply();
    await server.close();
    await connection.ended;
  });
});

describe('a connection on which nothing has come', () => {
  /** Accepted by a server that closes while another request is under way. */
  async function startClosing(env: Readonly<Record<string, string>>) {
    const { server, raw } = await startServer(env);
    const stalled = await raw();
    stalled.write('POST /broadcast HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n');
    stalled.write('Content-Length: 10\r\n\r\n');
    await stalled.take(Buffer.byteLength('HTTP/1.1 100 Continue\r\n\r\n'));
    const unused = await raw();
    // The connection has been accepted when a later one has been answered.
    const later = await raw();
    later.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
    await later.reply();
    void server.close();
    return { stalled, unused };
  }

  it('is not waited for', async () => {
    const { stalled, unused } = await startClosing({});
    const first = await Promise.race([
      stalled.ended.then(() => 'stalled'),
      unused.ended.then(() => 'unused'),
    ]);
    expect(first).toBe('unused');
  });

  /** What happens to a request that comes on it now. */
  const request = async (unused: RawConnection) => {
    // By now the server has ended what it ends at once.
    await setImmediate();
    unused.write('GET /info.json HTTP/1.1\r\nHost: x\r\n\r\n');
    const ended = () => 'ended';
    return Promise.race([
      unused.reply().then(() => 'answered', ended),
      unused.ended.then(ended, ended),
    ]);
  };

  it('is left to Node in production, which may still answer it', async () => {
    const { unused } = await startClosing({ NODE_ENV: 'production' });
    // From Node 26 on, a server that closes ends such connections by itself.
    const major = Number.parseInt(process.versions.node, 10);
    expect(await request(unused)).toBe(major < 26 ? 'answered' : 'ended');
  });
});

describe('a draining server', () => {
  // Of two clients one is told at once and the other half a window later.
  async function drain() {
    const server = await startServer({ DRAIN_SECONDS: '25' });
    const clients = [await server.connect(), await server.connect()];
    for (const client of clients) await client.subscribe('a');
    const closed = server.server.close();
    const first = await Promise.race(clients.map((client) => client.closed.then(() => client)));
    const second = clients.find((client) => client !== first);
    if (second === undefined) throw new Error('both were told at once');
    return { ...server, closed, second };
  }

  it('answers health checks with 503, ends keep-alive connections and still delivers broadcasts', async () => {
    const { url, broadcast, second, closed } = await drain();

    const health = await fetch(`${url}/healthz`);
    expect(health.status).toBe(503);
    expect(health.headers.get('connection')).toBe('close');
    expect(await health.text()).toBe('{"status":"draining"}');
    expect(await broadcast('a', { n: 1 })).toBe(1);
    expect(await second.next()).toEqual({ n: 1 });

    // When nobody is left there is nothing to wait for.
    second.socket.close();
    await closed;
    await expect(fetch(url)).rejects.toThrow();
  });

  it('refuses websockets with 503 and Retry-After', async () => {
    const { raw, second, closed } = await drain();
    const connection = await raw();
    connection.write(handshake());
    expect(await connection.reply()).toMatchObject({
      status: 503,
      headers: { 'retry-after': '1', connection: 'close' },
      body: '{"error":"Server shutting down"}',
    });
    second.socket.close();
    await closed;
  });

  it('answers the posts in flight', async () => {
    const { server, raw } = await startServer();
    const connection = await raw();
    const body = JSON.stringify({ token: sign({ channel: 'a', message: {} }) });
    const head = `POST /broadcast HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n`;
    connection.write(`${head}Expect: 100-continue\r\n\r\n`);
    // The server has the head of the request and waits for its body.
    await connection.take(Buffer.byteLength('HTTP/1.1 100 Continue\r\n\r\n'));

    const closed = server.close();
    connection.write(body);

    expect((await connection.reply()).body).toBe('{"message":"Success","deliveries":0}');
    await connection.ended;
    await closed;
  });

  it('does not wait for a request whose body never ends', async () => {
    const { server, raw } = await startServer();
    const connection = await raw();
    connection.write('POST /broadcast HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n');
    await server.close();
    // What was never read makes this a reset.
    await connection.ended.catch(() => {});
  });
});

describe('listen', () => {
  it('rejects when the port is taken', async () => {
    const { port } = await startServer();
    const second = createServer(
      loadConfig({ JWT_SECRET: 'x', HOST: '127.0.0.1', PORT: String(port) }),
      pino({ level: 'silent' }),
    );
    await expect(second.listen()).rejects.toThrow('EADDRINUSE');
  });
});
