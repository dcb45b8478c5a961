import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { Agent, request } from 'node:https';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { ClientOptions } from 'ws';
import { connectClient } from '../support/client.ts';
import { recordingLog } from '../support/log.ts';
import { startServer } from '../support/server.ts';
import { sign } from '../support/tokens.ts';
import { CERT, startNginx } from './proxies.ts';

async function connect(port: number, options: ClientOptions = {}) {
  const ca = await readFile(CERT);
  return connectClient(`wss://127.0.0.1:${port}/subscribe`, { ca, ...options });
}

/** Asks through nginx, on a connection that is kept. */
async function createAsker(port: number) {
  const agent = new Agent({ ca: await readFile(CERT), keepAlive: true, maxSockets: 1 });
  onTestFinished(() => agent.destroy());
  return async (method: string, path: string, body?: string) => {
    const outgoing = request({ host: '127.0.0.1', port, agent, method, path });
    outgoing.end(body);
    const [response] = await once(outgoing, 'response');
    const chunks: Buffer[] = await response.toArray();
    return { status: Number(response.statusCode), body: Buffer.concat(chunks).toString() };
  };
}

function bodyFor(channel: string, message: unknown): string {
  return JSON.stringify({ token: sign({ channel, message }) });
}

describe('deploy/nginx.conf', () => {
  it('passes websockets, broadcasts of all sizes and close frames on', async () => {
    const { server, port: upstream } = await startServer();
    const port = await startNginx(upstream);
    const client = await (await connect(port)).subscribe('a');
    const ask = await createAsker(port);

    // nginx keeps a body of this size in a file meanwhile.
    for (const size of [1, 500_000, 1]) {
      const message = { text: 'x'.repeat(size) };
      const answer = await ask('POST', '/broadcast', bodyFor('a', message));
      expect(answer).toEqual({ status: 200, body: '{"message":"Success","deliveries":1}' });
      expect(await client.next()).toEqual(message);
    }

    await server.close();
    expect(await client.closed).toEqual({ code: 1001, reason: 'Server shutting down' });
  });

  it('lets Bifröst refuse what is too long, in JSON', async () => {
    const { port: upstream } = await startServer();
    const ask = await createAsker(await startNginx(upstream));
    expect(await ask('POST', '/broadcast', 'x'.repeat(1_500_000))).toEqual({
      status: 413,
      body: '{"error":"Body must be at most 1048576 bytes"}',
    });
  });

  it('keeps a silent websocket open beyond its read timeout, because of pings', async () => {
    const { port: upstream, broadcast } = await startServer({ PING_INTERVAL_SECONDS: '0.5' });
    const port = await startNginx(upstream, [['proxy_read_timeout 75s', 'proxy_read_timeout 2s']]);
    const client = await (await connect(port)).subscribe('a');

    // Half a second apart: more than twice the timeout.
    for (let pings = 0; pings < 10; pings += 1) await once(client.socket, 'ping');

    await broadcast('a', { event: 'still here' });
    expect(await client.next()).toEqual({ event: 'still here' });
  });

  it('closes it after that timeout without pings', async () => {
    const { port: upstream } = await startServer({ PING_INTERVAL_SECONDS: '3600' });
    const port = await startNginx(upstream, [['proxy_read_timeout 75s', 'proxy_read_timeout 2s']]);
    const client = await (await connect(port)).subscribe('a');
    expect(await client.closed).toEqual({ code: 1006, reason: '' });
  });

  it('waits for several pings of the default interval', async () => {
    const seconds = /proxy_read_timeout (\d+)s;/.exec(
      await readFile('deploy/nginx.conf', 'utf8'),
    )?.[1];
    expect(Number(seconds)).toBeGreaterThanOrEqual(4 * 15);
  });

  it('passes the client address on, and ignores the address a client claims', async () => {
    const { logged, log } = recordingLog('debug');
    const { port: upstream } = await startServer({ TRUST_PROXY: '1' }, log);
    const port = await startNginx(upstream);
    const client = await connect(port, {
      // Not nginx's own, 127.0.0.1.
      localAddress: '127.0.0.2',
      headers: { 'X-Forwarded-For': '203.0.113.7' },
    });
    await client.authenticate('garbage').closed;
    expect(await logged('disconnected')).toMatchObject({ address: '127.0.0.2' });
  });

  it('answers metrics only to the machine itself', async () => {
    const { port: upstream, url } = await startServer({ METRICS: 'true' });
    const ask = await createAsker(await startNginx(upstream));
    expect((await fetch(`${url}/metrics`)).status).toBe(200);
    for (const path of ['/metrics', '/metrics/', '/metrics?x', '/%6detrics', '/a/../metrics']) {
      expect.soft(await ask('GET', path), path).toMatchObject({ status: 404 });
    }
    expect(await ask('GET', '/healthz')).toMatchObject({ status: 200 });
  });
});
