import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { backoffMs, keepListening, shouldReconnect } from '../../src/commands/listen.ts';
import { freePort } from '../support/free-port.ts';
import { startServer } from '../support/server.ts';
import { table } from '../support/snippets.ts';
import { SECRET } from '../support/tokens.ts';
import { bifrost, start } from './bifrost.ts';

describe('bifrost listen', () => {
  it('prints messages on stdout and states on stderr, and ends with 0 on Ctrl-C', async () => {
    const { port, broadcast } = await startServer();
    const program = await start(['listen', 'user:1', 'news'], {
      JWT_SECRET: SECRET,
      HOST: '127.0.0.1',
      PORT: String(port),
    });
    await program.prints(/subscribed to news\n/);
    const likeAConfirmation = { event: 'subscribed', data: '{"channel":"user:1"}' };
    await broadcast('user:1', { event: 'one', data: 'a\nb' });
    await broadcast('news', likeAConfirmation);
    await broadcast('news', '{\r\n  "event": "three"\n}');
    await program.prints(/three.*\n/);

    program.child.kill('SIGINT');

    expect(await program.ended).toEqual({ code: 0, signal: null });
    expect(program.stdout.split('\n')).toEqual([
      '{"event":"one","data":"a\\nb"}',
      JSON.stringify(likeAConfirmation),
      '{   "event": "three" }',
      '',
    ]);
    expect(program.stderr.split('\n')).toEqual([
      `connected to ws://127.0.0.1:${port}/subscribe`,
      'subscribed to user:1',
      'subscribed to news',
      '',
    ]);
  });

  it('waits for a server that is not there yet, and for one that restarts', async () => {
    const port = await freePort();
    const env = { PORT: String(port) };
    const program = await start(['listen', 'a'], { JWT_SECRET: SECRET, ...env });
    await program.prints(/cannot reach ws:.*ECONNREFUSED.*; again in \d+\.\d s\n/);

    const first = await startServer(env);
    await program.prints(/subscribed to a\n/);
    await first.broadcast('a', { from: 'first' });
    await first.server.close();
    await program.prints(/closed with 1001 Server shutting down; again in \d+\.\d s\n/);

    const second = await startServer(env);
    await program.prints(/subscribed to a\n[\s\S]*subscribed to a\n/);
    await second.broadcast('a', { from: 'second' });
    await program.prints(/"second"\}\n/);
    expect(program.stdout).toBe('{"from":"first"}\n{"from":"second"}\n');
  });

  it('reconnects when the server is full', async () => {
    const { connect, url } = await startServer({ MAX_CONNECTIONS: '1' });
    const client = await connect();
    const program = await start(['listen', 'a', '--url', url]);
    await program.prints(/answered 503 instead of a websocket; again in/);
    client.socket.close();
    await program.prints(/subscribed to a\n/);
  });

  it('ends with 1 after a final close code', async () => {
    const { url } = await startServer({ MAX_CHANNELS_PER_CONNECTION: '1' });
    const cases: [string[], string, string][] = [
      [['a', '--url', url], 'another', 'closed with 4401 Not Authorized! (are JWT_SECRET and'],
      [['a', 'b', '--url', url], SECRET, 'closed with 4413 Too many channels'],
      [['a', '--url', `${url}/nowhere`], SECRET, `${url.replace('http', 'ws')}/nowhere/subscribe`],
    ];
    for (const [args, secret, problem] of cases) {
      const { code, stdout, stderr } = await bifrost(['listen', ...args], { JWT_SECRET: secret });
      expect.soft({ code, stdout }, problem).toEqual({ code: 1, stdout: '' });
      const last = stderr.trimEnd().split('\n').at(-1);
      expect.soft(last?.startsWith(`bifrost listen: ${problem}`), last).toBe(true);
    }
  });

  it('ends with 0 when nobody reads its messages any more, as with "head"', async () => {
    const { url, broadcast } = await startServer();
    const program = await start(['listen', 'a', '--url', url]);
    await program.prints(/subscribed to a\n/);
    program.child.stdout?.destroy();
    await broadcast('a', {});
    expect(await program.ended).toEqual({ code: 0, signal: null });
    expect(program.stderr).not.toMatch(/EPIPE|\n +at /);
  });
});

describe('listening', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  /** A websocket server of which a test decides everything, and who listens to it. */
  async function listenTo(onConnection: (socket: WebSocket) => void) {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1', autoPong: false });
    await once(server, 'listening');
    const controller = new AbortController();
    onTestFinished(() => {
      controller.abort();
      for (const socket of server.clients) socket.terminate();
      server.close();
    });
    server.on('connection', onConnection);
    const states: string[] = [];
    const tokens: string[] = [];
    server.on('connection', (socket) => {
      socket.on('message', (data) => tokens.push(JSON.parse(String(data)).data));
    });
    const ended = keepListening({
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      channels: ['a'],
      signToken: () => `token ${tokens.length + 1}`,
      onMessage: () => {},
      onState: (line) => {
        states.push(line);
        server.emit('state');
      },
      signal: controller.signal,
    });
    return { server, controller, ended, states, tokens };
  }

  const CONFIRMATION = '{"event":"subscribed","data":"{\\"channel\\":\\"a\\"}"}';

  it('signs a fresh token for each attempt, and reconnects quickly after a success', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0);
    let connections = 0;
    const { controller, ended, states, tokens, server } = await listenTo((socket) => {
      connections += 1;
      const isLast = connections === 3;
      socket.once('message', () => {
        socket.send(CONFIRMATION);
        if (!isLast) socket.close(4401, 'Token expired');
      });
    });
    while (states.filter((state) => state === 'subscribed to a').length < 3) {
      await once(server, 'state');
    }
    controller.abort();
    await ended;
    expect(tokens).toEqual(['token 1', 'token 2', 'token 3']);
    const again = 'closed with 4401 Token expired; again in 0.5 s';
    expect(states.filter((state) => state.includes('again'))).toEqual([again, again]);
  });

  it('sends a close frame when it is ended', async () => {
    let closed: Promise<unknown> | undefined;
    const { controller, ended, states, server } = await listenTo((socket) => {
      closed = once(socket, 'close');
      socket.once('message', () => socket.send(CONFIRMATION));
    });
    while (!states.includes('subscribed to a')) await once(server, 'state');
    controller.abort();
    await ended;
    expect(await closed).toMatchObject([1000, expect.anything()]);
  });

  it('reconnects when the server no longer answers pings', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    let socket: WebSocket | undefined;
    const { server, states } = await listenTo((connection) => {
      socket ??= connection;
      connection.once('message', () => connection.send(CONFIRMATION));
    });
    while (!states.includes('subscribed to a')) await once(server, 'state');

    const pinged = once(socket as WebSocket, 'ping');
    vi.advanceTimersByTime(20_000);
    await pinged;
    vi.advanceTimersByTime(20_000);

    while (!states.some((state) => state.startsWith('the server stopped answering; again in'))) {
      await once(server, 'state');
    }
  });

  it('stays connected while the server answers pings', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    let socket: WebSocket | undefined;
    const { server, states } = await listenTo((connection) => {
      socket = connection;
      connection.once('message', () => connection.send(CONFIRMATION));
    });
    while (!states.includes('subscribed to a')) await once(server, 'state');
    for (let n = 0; n < 3; n += 1) {
      const pinged = once(socket as WebSocket, 'ping');
      vi.advanceTimersByTime(20_000);
      await pinged;
      socket?.pong();
      // Whoever answers a ping that came after our pong has read the pong.
      socket?.ping();
      await once(socket as WebSocket, 'pong');
    }
    expect(states).toHaveLength(2);
  });

  it('comes back after exactly the close codes for which the README says so', () => {
    const rows = table('code | reason | when | come back?');
    expect(rows.length).toBeGreaterThan(10);
    for (const [code, , , comeBack = ''] of rows) {
      expect.soft(shouldReconnect(Number(code)), code).toBe(/^(yes|with)/.test(comeBack));
    }
    // The network failed.
    expect(shouldReconnect(1006)).toBe(true);
  });

  it('waits twice as long after each failure, up to half a minute, and never all at once', () => {
    const longest = [0, 1, 2, 3, 4, 5, 6, 2_000].map((failures) => backoffMs(failures, 1));
    expect(longest).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
    expect(backoffMs(0, 0)).toBe(500);
    expect(backoffMs(9, 0.5)).toBe(22_500);
  });
});
