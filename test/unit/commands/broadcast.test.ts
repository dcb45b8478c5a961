import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { freePort } from '../../support/free-port.ts';
import { startCommand, temporaryFolder } from '../../support/program.ts';
import { startServer } from '../../support/server.ts';
import { SECRET } from '../../support/tokens.ts';
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
