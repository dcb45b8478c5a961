import { once } from 'node:events';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { describe, expect, it, onTestFinished } from 'vitest';
import { connectClient } from '../support/client.ts';
import { startProgram, temporaryFolder } from '../support/program.ts';
import { startServer } from '../support/server.ts';
import { SECRET, sign } from '../support/tokens.ts';

const CERT = 'test/fixtures/localhost.cert.pem';
const KEY = 'test/fixtures/localhost.key.pem';
const FILES = { TLS_CERT_FILE: CERT, TLS_KEY_FILE: KEY };

/** Posts as `fetch` would, which cannot be told to trust a certificate. */
async function post(port: number, body: string, headers: Record<string, string> = {}) {
  const outgoing = request({
    port,
    host: '127.0.0.1',
    path: '/broadcast',
    method: 'POST',
    headers,
    rejectUnauthorized: false,
    agent: false,
  });
  outgoing.end(body);
  const [response] = await once(outgoing, 'response');
  const chunks: Buffer[] = await response.toArray();
  return Buffer.concat(chunks).toString();
}

async function connectTls(port: number): Promise<TLSSocket> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
  onTestFinished(() => {
    socket.destroy();
  });
  await once(socket, 'secureConnect');
  return socket;
}

describe('with a certificate', () => {
  it('serves https and wss', async () => {
    const { port } = await startServer(FILES);
    const client = await connectClient(`wss://127.0.0.1:${port}/subscribe`, {
      ca: await readFile(CERT),
    });
    await client.subscribe('a');
    const body = JSON.stringify({ token: sign({ channel: 'a', message: { n: 1 } }) });

    expect(await post(port, body)).toBe('{"message":"Success","deliveries":1}');
    expect(await client.next()).toEqual({ n: 1 });

    // A request whose upgrade is ignored stays on its encrypted connection.
    const upgrade = { Connection: 'Upgrade', Upgrade: 'h2c' };
    expect(await post(port, body, upgrade)).toBe('{"message":"Success","deliveries":1}');
    expect(await client.next()).toEqual({ n: 1 });
  });

  it('keeps serving after clients that send no TLS or disconnect during the handshake', async () => {
    const { port, raw } = await startServer(FILES);
    for (const bytes of ['GET / HTTP/1.1\r\nHost: x\r\n\r\n', '\x16\x03\x01\x02\x00\x01', '\0']) {
      const connection = await raw();
      connection.write(bytes);
      connection.socket.end();
      await connection.ended.catch(() => {});
    }
    await connectTls(port);
  });

  it('closes connections that never begin a TLS handshake', async () => {
    const { server, raw } = await startServer(FILES);
    const connection = await raw();
    await server.close();
    await connection.ended.catch(() => {});
  });

  it('is reloaded on SIGHUP without closing connections, and kept when the new one is broken', async () => {
    const folder = await temporaryFolder();
    const files = {
      TLS_CERT_FILE: join(folder, 'cert.pem'),
      TLS_KEY_FILE: join(folder, 'key.pem'),
    };
    await copyFile(CERT, files.TLS_CERT_FILE);
    await copyFile(KEY, files.TLS_KEY_FILE);
    const program = startProgram(folder, { JWT_SECRET: SECRET, ...files });
    const port = await program.listening();
    const subject = async () => (await connectTls(port)).getPeerCertificate().subject.CN;
    const client = await connectClient(`wss://127.0.0.1:${port}/subscribe`, {
      rejectUnauthorized: false,
    });
    expect(await subject()).toBe('localhost.test');

    await copyFile('test/fixtures/renewed.cert.pem', files.TLS_CERT_FILE);
    await copyFile('test/fixtures/renewed.key.pem', files.TLS_KEY_FILE);
    program.child.kill('SIGHUP');
    await program.prints(/certificate renewed/);
    expect(await subject()).toBe('renewed.test');

    await writeFile(files.TLS_CERT_FILE, 'garbage');
    program.child.kill('SIGHUP');
    await program.prints(/certificate could not be loaded/);
    expect(await subject()).toBe('renewed.test');
    await client.ping();
  });
});
