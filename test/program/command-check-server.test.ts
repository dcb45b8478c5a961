import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import {
  type AddressInfo,
  createServer as createTcpServer,
  connect as openConnection,
} from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { variableNames } from '../../src/config/settings.ts';
import { freePort } from '../support/free-port.ts';
import { PositionedClient } from '../support/positioned-client.ts';
import { currentPosition } from '../support/positions.ts';
import { startServer } from '../support/server.ts';
import { SECRET } from '../support/tokens.ts';
import { bifrost } from './bifrost.ts';

const HINT = "(are JWT_SECRET and the clock the same as the server's?)";

/** Runs `bifrost check --url`; resolves to what it said of the server, behind the lines of the settings. */
async function checkUrl(
  url: string,
  env: Readonly<Record<string, string>> = { JWT_SECRET: SECRET },
) {
  const { code, stdout, stderr } = await bifrost(['check', '--url', url], env);
  return { code, stderr, lines: stdout.trimEnd().split('\n').slice(variableNames.length) };
}

/** A server that is not Bifröst, and knows no websockets. */
async function startStranger(answer: RequestListener): Promise<string> {
  const server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('bifrost check --url', () => {
  it('sees that a server is well, and leaves nothing behind on it', async () => {
    const { url, port, stats } = await startServer();
    const since = await currentPosition({ url });
    const { code, stderr, lines } = await checkUrl(url);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(lines).toEqual([
      `ok      health: ${url}/healthz answered 200 ok`,
      'ok      clock: the same as here',
      expect.stringMatching(
        /^ok {6}token: a websocket was subscribed to bifrost-check:[\da-f-]{36}$/,
      ),
      expect.stringMatching(/^ok {6}broadcast: it arrived after \d+ ms$/),
    ]);
    // One confirmation and one broadcast, to nobody else.
    await expect.poll(stats).toEqual({ deliveries: 2, connected: 0 });

    // Nor is the broadcast in the history.
    const channel = /bifrost-check:\S+/.exec(lines.join('\n'))?.[0] ?? '';
    const client = await PositionedClient.connect(port, [channel], since);
    expect(await client.confirmed()).toMatchObject([{ channel, recovered: true, missed: 0 }]);
  });

  it('accepts the URL that pages connect to, too', async () => {
    const { url } = await startServer();
    expect(await checkUrl(`${url.replace('http', 'ws')}/`)).toMatchObject({ code: 0 });
  });

  it('gives the hint that other commands give when the secret is another', async () => {
    const { url } = await startServer();
    const { code, stderr, lines } = await checkUrl(url, { JWT_SECRET: 'x'.repeat(64) });
    expect(code).toBe(1);
    expect(stderr).toBe(`bifrost check: ${url} failed 2 checks\n`);
    expect(lines.slice(2)).toEqual([
      `failed  token: closed with 4401 Not Authorized! ${HINT}`,
      `failed  broadcast: ${url}/broadcast answered 400: Bad signature ${HINT}`,
    ]);
  });

  it('says that nobody answers, and asks no more', async () => {
    const url = `http://127.0.0.1:${await freePort()}`;
    const { code, lines } = await checkUrl(url);
    expect(code).toBe(1);
    expect(lines).toEqual([
      expect.stringMatching(
        /^failed {2}health: cannot reach http:\S+: connect ECONNREFUSED \S+ \(is the server running/,
      ),
    ]);
  });

  it('sees that a clock is off, that a server is no Bifröst, and that there are no websockets', async () => {
    const url = await startStranger((request, response) => {
      response.setHeader('Date', new Date(Date.now() - 90_000).toUTCString());
      if (request.url === '/broadcast') response.writeHead(404);
      response.end('<h1>hello</h1>');
    });
    const { code, stderr, lines } = await checkUrl(url);
    expect(code).toBe(1);
    expect(stderr).toBe(`bifrost check: ${url} failed 4 checks\n`);
    expect(lines).toEqual([
      expect.stringMatching(
        /^failed {2}health: \S+ answered 200 \(is this the address of a Bifröst\?\)$/,
      ),
      expect.stringMatching(/^failed {2}clock: \d\d\.\d s behind this machine's \(.*NTP\)$/),
      expect.stringMatching(
        /^failed {2}token: ws:\S+ answered 200 instead of a websocket \(a proxy/,
      ),
      expect.stringMatching(/^failed {2}broadcast: \S+ answered 404$/),
    ]);
  });

  it('sees that the broadcast goes to a server that does not know of the other', async () => {
    const [here, there] = [await startServer(), await startServer()];
    // A balancer that sends websockets here and requests there.
    const balancer = createTcpServer((near) => {
      near.once('data', (head) => {
        const port = head.toString().startsWith('GET /subscribe') ? here.port : there.port;
        const far = openConnection(port, '127.0.0.1');
        far.write(head);
        near.pipe(far).pipe(near);
        far.on('error', () => near.destroy());
      });
      near.on('error', () => {});
    }).listen(0, '127.0.0.1');
    await once(balancer, 'listening');
    onTestFinished(() => {
      balancer.close();
    });
    const { code, lines } = await checkUrl(
      `http://127.0.0.1:${(balancer.address() as AddressInfo).port}`,
    );
    expect(code).toBe(1);
    expect(lines.map((line) => line.split(':')[0])).toEqual([
      'ok      health',
      'ok      clock',
      'ok      token',
      'failed  broadcast',
    ]);
    expect(lines[3]).toContain('(do several servers share this address without');
  });

  it('says why a server is not well', async () => {
    const url = await startStranger((_request, response) => {
      response.writeHead(503).end('{"status":"broker unavailable"}');
    });
    const { lines } = await checkUrl(url);
    expect(lines[0]).toBe(
      `failed  health: ${url}/healthz answered 503 broker unavailable (its log says more)`,
    );
  });

  it('asks nothing without a secret, and says what to do', async () => {
    const { code, stderr, lines } = await checkUrl('http://127.0.0.1:1', {});
    expect({ code, lines }).toEqual({ code: 1, lines: [] });
    expect(stderr).toContain('bifrost check: JWT_SECRET is not set: ');
  });
});
