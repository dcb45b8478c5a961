import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { readdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { backOffMs, listen, shouldReturn } from '../../../src/commands/listen.ts';
import { type Program, startCommand, temporaryFolder } from '../../support/program.ts';
import { startServer } from '../../support/server.ts';
import { table } from '../../support/snippets.ts';
import { now, SECRET } from '../../support/tokens.ts';

const COMMANDS = ['start', 'secret', 'token', 'broadcast', 'listen', 'check'];

type Env = Readonly<Record<string, string>>;

interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts `bifrost` in an empty folder. */
async function start(args: readonly string[], env: Env = { JWT_SECRET: SECRET }): Promise<Program> {
  return startCommand(args, await temporaryFolder(), env);
}

/** Runs `bifrost` to its end. */
async function bifrost(args: readonly string[], env?: Env): Promise<Result> {
  const program = await start(args, env);
  const { code } = await program.ended;
  return { code, stdout: program.stdout, stderr: program.stderr };
}

/** A server that is not Bifröst. */
async function startStranger(status: number, body: string): Promise<string> {
  const server = createServer((_request, response) => {
    response.writeHead(status, { Location: 'https://example.com/' }).end(body);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A port where nobody listens. */
async function freePort(): Promise<number> {
  const { server, port } = await startServer();
  await server.close();
  return port;
}

describe('bifrost', () => {
  it('says what it can do', async () => {
    const { code, stdout, stderr } = await bifrost(['--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const name of COMMANDS) expect.soft(stdout).toContain(`\n  ${name.padEnd(10)} `);
  });

  it.each(COMMANDS)('says how %s is called', async (name) => {
    const { code, stdout, stderr } = await bifrost([name, '--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(new RegExp(`^bifrost ${name}\\b`));
  });

  it('prints its version', async () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
    expect(await bifrost(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  });

  it.each([
    [[]],
    [['nonsense']],
    [['toString']],
    [['secret', 'extra']],
    [['start', '--port', '1']],
    [['token']],
    [['token', '--channel', 'a', '--nonsense']],
    [['token', '--channel', 'a', '--expires', '1y']],
    [['token', '--channel', 'a', '--expires', '0s']],
    [['token', '--channel', 'a', '--expires', '60']],
    [['broadcast', 'a']],
    [['broadcast', 'a', '{}', 'b']],
    [['broadcast', 'a', '[]']],
    [['broadcast', 'a', '{"event":']],
    [['broadcast', 'a', '{},"exp":9e9']],
    [['listen']],
    [['listen', 'a', '--url', 'localhost']],
    [['listen', 'a', '--url', 'ftp://example.com']],
    [['listen', 'a', '--url', 'http://user:password@example.com']],
    [['check', '--nonsense=\nsecond line']],
  ])('answers a call that it does not know with 2 and one line: %j', async (call) => {
    const { code, stdout, stderr } = await bifrost(call);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^bifrost( \w+)?: .*--help.*\n$/);
  });
});

describe('bifrost start', () => {
  it('runs the server, which ends with 0 on SIGTERM', async () => {
    const program = await start(['start'], { JWT_SECRET: SECRET, HOST: '127.0.0.1', PORT: '0' });
    const port = await program.listening();
    expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200);
    program.child.kill('SIGTERM');
    expect(await program.ended).toEqual({ code: 0, signal: null });
  });

  it('ends with 1 when the configuration cannot be used', async () => {
    const { code, stderr } = await bifrost(['start'], { JWT_SECRET: SECRET, PORT: '-1' });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^Invalid configuration:\n {2}- PORT .*\n$/);
  });
});

describe('bifrost secret', () => {
  it('prints 64 random bytes, others each time', async () => {
    const [one, two] = await Promise.all([bifrost(['secret'], {}), bifrost(['secret'], {})]);
    expect(one).toEqual({
      code: 0,
      stdout: expect.stringMatching(/^[0-9a-f]{128}\n$/),
      stderr: '',
    });
    expect(two.code).toBe(0);
    expect(two.stdout).not.toBe(one.stdout);
  });
});

describe('bifrost token', () => {
  it('prints a token that the server takes, for the channels in their order', async () => {
    const { connect } = await startServer();
    const { code, stdout } = await bifrost(['token', '--channel', 'user:1', '-c', 'global "x"']);
    expect(code).toBe(0);
    const client = (await connect()).authenticate(stdout.trim());
    for (const channel of ['user:1', 'global "x"']) {
      expect(await client.next()).toEqual({
        event: 'subscribed',
        data: JSON.stringify({ channel }),
      });
    }
  });

  it.each([
    [[], 60],
    [['--expires', '90s'], 90],
    [['--expires', '2m'], 120],
    [['-e', '1h'], 3_600],
    [['--expires', '3d'], 259_200],
  ])('with %j prints one that lives for %d seconds', async (options, seconds) => {
    const before = now();
    const { stdout } = await bifrost(['token', '-c', 'a', ...options]);
    const { exp } = JSON.parse(Buffer.from(stdout.split('.')[1] ?? '', 'base64url').toString());
    expect(exp).toBeGreaterThanOrEqual(before + seconds);
    expect(exp).toBeLessThanOrEqual(now() + seconds);
  });

  it('says in one line that the secret is missing, and makes none', async () => {
    const folder = await temporaryFolder();
    const program = startCommand(['token', '-c', 'a'], folder, { JWT_SECRET: '' });
    expect(await program.ended).toMatchObject({ code: 1 });
    expect(program.stderr).toMatch(/^bifrost token: JWT_SECRET is not set.*\n$/);
    expect(await readdir(folder)).toEqual([]);
  });
});

describe('bifrost broadcast', () => {
  it('delivers the message exactly as it was typed, and prints to how many', async () => {
    const { connect, port } = await startServer();
    const client = await (await connect()).subscribe('user:1 "ö"');
    const message =
      '{ "2":1.0,"1":9007199254740993, "__proto__":1e3,"a":"\\u00e9ö\\/","a":{"event":[ ]} }';

    const result = await bifrost(['broadcast', 'user:1 "ö"', message], {
      JWT_SECRET: SECRET,
      PORT: String(port),
    });

    expect(result).toEqual({ code: 0, stdout: '1\n', stderr: '' });
    expect(await client.nextText()).toBe(message);
  });

  it('finds the server by --url, be it that of a website or of a websocket', async () => {
    const { port } = await startServer();
    for (const url of [`http://127.0.0.1:${port}/`, `ws://127.0.0.1:${port}`]) {
      const result = await bifrost(['broadcast', 'a', '{}', '--url', url]);
      expect(result).toEqual({ code: 0, stdout: '0\n', stderr: '' });
    }
  });

  it('speaks TLS to a server that does', async () => {
    const cert = resolve('test/fixtures/localhost.cert.pem');
    const files = { TLS_CERT_FILE: cert, TLS_KEY_FILE: resolve('test/fixtures/localhost.key.pem') };
    const { port } = await startServer(files);
    const env = { JWT_SECRET: SECRET, HOST: '127.0.0.1', PORT: String(port), ...files };

    const listener = await start(['listen', 'a'], { ...env, NODE_EXTRA_CA_CERTS: cert });
    await listener.prints(/subscribed to a\n/);
    const trusting = await bifrost(['broadcast', 'a', '{}'], { ...env, NODE_EXTRA_CA_CERTS: cert });
    expect(trusting).toEqual({ code: 0, stdout: '1\n', stderr: '' });

    const stranger = await bifrost(['broadcast', 'a', '{}'], env);
    expect(stranger).toMatchObject({ code: 1, stdout: '' });
    expect(stranger.stderr).toMatch(/^bifrost broadcast: cannot reach https:.* certificate.*\n$/);
  });

  it('reads .env, over which the environment wins', async () => {
    const { port } = await startServer();
    const folder = await temporaryFolder();
    await writeFile(join(folder, '.env'), `JWT_SECRET=${SECRET}\nPORT=1\n`);
    const program = startCommand(['broadcast', 'a', '{}'], folder, { PORT: String(port) });
    expect(await program.ended).toMatchObject({ code: 0 });
    expect(program.output).toBe('0\n');
  });

  it('says in one line what went wrong, and ends with 1', async () => {
    const { url } = await startServer();
    const page = await startStranger(200, '<h1>hello</h1>');
    const redirect = await startStranger(301, '');
    const nobody = `http://127.0.0.1:${await freePort()}`;
    const cases: [string[], Env, string][] = [
      [['--url', url], { JWT_SECRET: 'another' }, `${url}/broadcast answered 400: Bad signature`],
      [['--url', url], {}, 'JWT_SECRET is not set'],
      [['--url', page], { JWT_SECRET: SECRET }, `${page}/broadcast answered 200`],
      [['--url', redirect], { JWT_SECRET: SECRET }, `${redirect}/broadcast answered 301`],
      [['--url', nobody], { JWT_SECRET: SECRET }, `cannot reach ${nobody}: connect ECONNREFUSED`],
      [[], { JWT_SECRET: SECRET, PORT: '0' }, 'PORT=0 does not say where the server is: use --url'],
    ];
    const results = await Promise.all(
      cases.map(([options, env]) => bifrost(['broadcast', 'a', '{}', ...options], env)),
    );
    for (const [index, [, , problem]] of cases.entries()) {
      const { code, stdout, stderr = '' } = results[index] ?? {};
      expect.soft({ code, stdout }, problem).toEqual({ code: 1, stdout: '' });
      expect.soft(stderr.startsWith(`bifrost broadcast: ${problem}`), stderr).toBe(true);
      expect.soft(stderr.split('\n'), stderr).toHaveLength(2);
    }
  });
});

describe('bifrost listen', () => {
  it('prints each message on a line, states elsewhere, and ends with 0 on Ctrl-C', async () => {
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

  it('comes back when there is no room', async () => {
    const { connect, url } = await startServer({ MAX_CONNECTIONS: '1' });
    const client = await connect();
    const program = await start(['listen', 'a', '--url', url]);
    await program.prints(/answered 503 instead of a websocket; again in/);
    client.socket.close();
    await program.prints(/subscribed to a\n/);
  });

  it('gives up with 1 where it would only be refused again', async () => {
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
    const ended = listen({
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

  it('signs a fresh token each time, and comes back soon after each success', async () => {
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

  it('says goodbye when it is told to end', async () => {
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

  it('leaves a server that no longer answers its pings', async () => {
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

  it('stays with one that answers them', async () => {
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
      expect.soft(shouldReturn(Number(code)), code).toBe(/^(yes|with)/.test(comeBack));
    }
    // The network failed.
    expect(shouldReturn(1006)).toBe(true);
  });

  it('waits twice as long after each failure, up to half a minute, and never all at once', () => {
    const longest = [0, 1, 2, 3, 4, 5, 6, 2_000].map((failures) => backOffMs(failures, 1));
    expect(longest).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
    expect(backOffMs(0, 0)).toBe(500);
    expect(backOffMs(9, 0.5)).toBe(22_500);
  });
});

describe('bifrost check', () => {
  it('prints the configuration without its secrets', async () => {
    const env = {
      JWT_SECRET: SECRET,
      JWT_SECRET_PREVIOUS: 'an-older-one',
      METRICS: 'true',
      METRICS_TOKEN: 'of-the-metrics',
      REDIS_URL: 'redis://someone:the-password@redis.example.com:6380/1?x=y',
      ALLOWED_ORIGINS: 'https://example.com, https://*.Example.org',
      MAX_BODY_BYTES: '1000',
    };
    const { code, stdout, stderr } = await bifrost(['check'], env);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject({
      secretBytes: Buffer.byteLength(SECRET),
      previousSecrets: 1,
      port: 3000,
      metrics: true,
      metricsToken: true,
      redis: 'redis.example.com:6380',
      allowedOrigins: ['https://example.com', 'https://*.example.org'],
      maxBodyBytes: 1_000,
    });
    for (const secret of [SECRET, 'an-older-one', 'of-the-metrics', 'the-password', 'someone']) {
      expect(stdout).not.toContain(secret);
    }
  });

  it('lists every problem, a line each, and ends with 1', async () => {
    const { code, stdout, stderr } = await bifrost(['check'], {
      NODE_ENV: 'production',
      PORT: '-1',
      DRAIN_SECONDS: 'soon',
    });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toBe(
      'Invalid configuration:\n' +
        '  - JWT_SECRET is required\n' +
        '  - PORT must be an integer from 0 to 65535, got "-1"\n' +
        '  - DRAIN_SECONDS must be a number of seconds from 0 to 25, got "soon"\n',
    );
  });

  it.each([['start'], ['token', '-c', 'a'], ['broadcast', 'a', '{}'], ['listen', 'a'], ['check']])(
    'lists a .env that cannot be used, whatever else is set: %s',
    async (...args) => {
      const folder = await temporaryFolder();
      await writeFile(join(folder, '.env'), 'not an assignment\n');
      const program = startCommand(args, folder, { JWT_SECRET: SECRET, PORT: '1' });
      expect(await program.ended).toEqual({ code: 1, signal: null });
      expect(program.output).toMatch(
        /^Invalid configuration:\n {2}- .*\.env has lines that are neither .*: 1\n$/,
      );
    },
  );

  it('warns of what is set but not known, before the problems that may come of it', async () => {
    const env = { NODE_ENV: 'Production', JWT_SECERT: SECRET };
    const { code, stderr } = await bifrost(['check'], env);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^Warning: NODE_ENV="Production" .*\nWarning: JWT_SECERT is not read: is JWT_SECRET meant\?\nInvalid .*\n {2}- JWT_SECRET is required\n$/,
    );
  });

  it('warns of what is unsafe', async () => {
    const { code, stderr } = await bifrost(['check'], {
      JWT_SECRET: 'short',
      NODE_ENV: 'development',
      AUTH_TIMEOUT_SECONDS: '0',
      METRICS: 'true',
    });
    expect(code).toBe(0);
    expect(stderr.match(/^Warning: \S+/gm)).toEqual([
      'Warning: JWT_SECRET',
      'Warning: NODE_ENV=development:',
      'Warning: AUTH_TIMEOUT_SECONDS=0:',
      'Warning: METRICS=true',
    ]);
  });

  it('says that a secret will be made outside production, and makes none itself', async () => {
    const folder = await temporaryFolder();
    const program = startCommand(['check'], folder, {});
    expect(await program.ended).toMatchObject({ code: 0 });
    expect(program.stderr).toMatch(/^JWT_SECRET is not set: the server makes one.*\n$/);
    expect(await readdir(folder)).toEqual([]);
  });
});
