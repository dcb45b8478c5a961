import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startBroadcastDouble } from '../support/broadcast-double.ts';
import { freePort } from '../support/free-port.ts';
import { startCommand, temporaryFolder } from '../support/program.ts';
import { startServer } from '../support/server.ts';
import { SECRET } from '../support/tokens.ts';
import { bifrost, type Env, start } from './bifrost.ts';

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

  it('accepts an http or ws URL in --url', async () => {
    const { port } = await startServer();
    for (const url of [`http://127.0.0.1:${port}/`, `ws://127.0.0.1:${port}`]) {
      const result = await bifrost(['broadcast', 'a', '{}', '--url', url]);
      expect(result).toEqual({ code: 0, stdout: '0\n', stderr: '' });
    }
  });

  it('finds the server by BIFROST_URL, over which --url wins', async () => {
    const { url } = await startServer();
    const nowhere = `http://127.0.0.1:${await freePort()}`;
    for (const [args, variable] of [
      [[], url],
      [['--url', url], nowhere],
      [['--url', url], 'nonsense'],
    ] as const) {
      const env = { JWT_SECRET: SECRET, BIFROST_URL: variable, PORT: '1' };
      const result = await bifrost(['broadcast', 'a', '{}', ...args], env);
      expect(result, variable).toEqual({ code: 0, stdout: '0\n', stderr: '' });
    }
    const local = { JWT_SECRET: SECRET, BIFROST_URL: '', PORT: new URL(url).port };
    expect(await bifrost(['broadcast', 'a', '{}'], local)).toMatchObject({ code: 0 });
  });

  it('takes several channels, beside the first or instead of it', async () => {
    const double = await startBroadcastDouble();
    const env = { JWT_SECRET: SECRET, BIFROST_URL: double.url };
    const one = await bifrost(['broadcast', 'x:1', '{"n":1.0}', '--channel', 'x:2'], env);
    expect(one).toEqual({ code: 0, stdout: '3\n', stderr: '' });
    const two = await bifrost(['broadcast', '-c', 'x:4', '-c', 'x:4', '{}'], env);
    expect(two).toEqual({ code: 0, stdout: '8\n', stderr: '' });
    const three = await bifrost(['broadcast', 'x:1', 'x:2', '{}'], env);
    expect(three).toEqual({ code: 0, stdout: '3\n', stderr: '' });
    expect(double.delivered.map(({ channel }) => channel)).toEqual([
      ...['x:1', 'x:2', 'x:4', 'x:4'],
      ...['x:1', 'x:2'],
    ]);
    expect(double.posted[0]?.text).toContain('"message":{"n":1.0}');
    expect(double.posted).toHaveLength(3);
  });

  it('asks a server for one channel as every server knows it', async () => {
    const double = await startBroadcastDouble();
    const env = { JWT_SECRET: SECRET, BIFROST_URL: double.url };
    expect((await bifrost(['broadcast', '--channel', 'a', '{}'], env)).code).toBe(0);
    expect(double.posted).toMatchObject([{ isBatch: false, broadcasts: [{ channels: ['a'] }] }]);
  });

  it('reads a message from standard input', async () => {
    const { connect, url } = await startServer();
    const client = await (await connect()).subscribe('a');
    const message = '{\n  "id": 9007199254740993,\n  "ü": "\u2028"\n}';
    const env = { JWT_SECRET: SECRET, BIFROST_URL: url };
    const result = await bifrost(['broadcast', 'a', '-'], env, `${message}\n`);
    expect(result).toEqual({ code: 0, stdout: '1\n', stderr: '' });
    expect(await client.nextText()).toBe(message);
  });

  it('sends nothing of a standard input that is no message', async () => {
    const double = await startBroadcastDouble();
    const env = { JWT_SECRET: SECRET, BIFROST_URL: double.url };
    const none = await bifrost(['broadcast', 'a', '-'], env, '');
    expect(none).toMatchObject({ code: 2, stdout: '' });
    const bytes = await bifrost(
      ['broadcast', 'a', '-'],
      env,
      Buffer.from('{"a":"\xff"}', 'latin1'),
    );
    expect(bytes).toEqual({
      code: 1,
      stdout: '',
      stderr: 'bifrost broadcast: standard input must be UTF-8\n',
    });
    expect(double.posted).toEqual([]);
  });

  it('says when a server did not confirm in time, and when a message may have been delivered', async () => {
    const partial = await startStranger(200, '{"message":"Success","deliveries":3,"partial":true}');
    const failing = await startStranger(500, '{"error":"Internal error"}');
    expect(await bifrost(['broadcast', 'a', '{}', '--url', partial])).toEqual({
      code: 0,
      stdout: '3\n',
      stderr: 'A server did not confirm in time: there may be more.\n',
    });
    expect((await bifrost(['broadcast', 'a', '{}', '--url', failing])).stderr).toBe(
      `bifrost broadcast: ${failing}/broadcast answered 500: Internal error (it may have been delivered)\n`,
    );
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
      [
        ['--url', url],
        { JWT_SECRET: 'another' },
        `${url}/broadcast answered 400: Bad signature (are JWT_SECRET and the clock the same as the server's?)`,
      ],
      [['--url', url], {}, 'JWT_SECRET is not set'],
      [['--url', page], { JWT_SECRET: SECRET }, `${page}/broadcast answered 200`],
      [['--url', redirect], { JWT_SECRET: SECRET }, `${redirect}/broadcast answered 301`],
      [['--url', nobody], { JWT_SECRET: SECRET }, `cannot reach ${nobody}: connect ECONNREFUSED`],
      [
        [],
        { JWT_SECRET: SECRET, PORT: '0' },
        'PORT=0 does not say where the server is: use --url or BIFROST_URL',
      ],
      [
        [],
        { JWT_SECRET: SECRET, BIFROST_URL: 'localhost:3000' },
        'BIFROST_URL must be like http://localhost:3000',
      ],
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

describe('bifrost broadcast --lines -', () => {
  it('sends every line in batches, in order and untouched, and prints the deliveries of all', async () => {
    const double = await startBroadcastDouble();
    const env = { JWT_SECRET: SECRET, BIFROST_URL: double.url };
    const lines = Array.from({ length: 5_000 }, (_, n) => `{"channel":"x","message":{"n":${n}}}`);
    lines[1] = '{"message":{"id":9007199254740993,"1":1.0},"channel":"x"}\r';
    lines[2] = '  { "channels" : ["a:2","b:3"], "message": "{\\"n\\":1e3}", "history": false } ';
    lines[3] = '';

    const result = await bifrost(['broadcast', '--lines', '-'], env, lines.join('\n'));

    expect(result).toEqual({ code: 0, stdout: `${4_998 + 5}\n`, stderr: '' });
    const onX = double.delivered.filter(({ channel }) => channel === 'x');
    expect(onX.map(({ message }) => message)).toEqual(
      lines.flatMap((line, n) => (n === 2 || n === 3 ? [] : [JSON.parse(line).message])),
    );
    const [first] = double.posted;
    expect(first?.text).toContain('"message":{"id":9007199254740993,"1":1.0}');
    expect(first?.text).toContain('"message":{"n":1e3},"channels":["a:2","b:3"],"history":false');
    expect(double.posted.length).toBeLessThan(100);
  });

  it('sends a line as soon as it comes', async () => {
    const double = await startBroadcastDouble();
    const env = { JWT_SECRET: SECRET, BIFROST_URL: double.url };
    const program = startCommand(['broadcast', '-l', '-'], await temporaryFolder(), env, {
      stdin: 'pipe',
    });
    for (const n of [1, 2]) {
      program.child.stdin?.write(`{"channel":"x","message":{"n":${n}}}\n`);
      await expect.poll(() => double.delivered.length, { timeout: 4_000 }).toBe(n);
    }
    program.child.stdin?.end();
    expect(await program.ended).toMatchObject({ code: 0 });
    expect(program.stdout).toBe('2\n');
  });

  const GOOD = '{"channel":"a","message":{}}';
  const TOO_LONG = `{"channel":"${'x'.repeat(256)}","message":{}}`;

  it('names a line at fault and ends with 1, after the lines before it', async () => {
    const double = await startBroadcastDouble();
    const env = { JWT_SECRET: SECRET, BIFROST_URL: double.url };
    const input = [GOOD, '', GOOD, 'nonsense', GOOD].join('\n');
    expect(await bifrost(['broadcast', '--lines', '-'], env, input)).toEqual({
      code: 1,
      stdout: '',
      stderr:
        'bifrost broadcast: line 4: must be a JSON object with a channel and a message; sent 2 of 4 lines\n',
    });
    expect(double.delivered).toHaveLength(2);
  });

  it('ends while standard input stays open when a line is refused', async () => {
    const double = await startBroadcastDouble();
    const env = { JWT_SECRET: SECRET, BIFROST_URL: double.url };
    const program = startCommand(['broadcast', '--lines', '-'], await temporaryFolder(), env, {
      stdin: 'pipe',
    });
    program.child.stdin?.write(`${TOO_LONG}\n`);
    expect(await program.ended).toMatchObject({ code: 1 });
    expect(program.stderr).toMatch(/^bifrost broadcast: line 1: .*; sent 0 of 1 lines\n$/);
  });
});
