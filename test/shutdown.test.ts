import { describe, expect, it } from 'vitest';
import { loadConfig } from '../src/config.ts';
import { createServer } from '../src/server.ts';
import { handshake } from './support/raw.ts';
import { startServer } from './support/server.ts';

describe('close', () => {
  it('says goodbye with 1001 to every socket', async () => {
    const { server, connect } = await startServer();
    const clients = [await connect(), await (await connect()).subscribe('a')];

    await server.close();

    for (const client of clients) {
      expect(await client.closed).toEqual({ code: 1001, reason: 'Server shutting down' });
    }
  });

  it('ends a peer that does not answer the close frame', async () => {
    const { server, raw } = await startServer();
    const connection = await raw();
    connection.write(handshake());
    await connection.reply();
    await server.close();
    expect((await connection.ended).subarray(0, 4)).toEqual(Buffer.from([0x88, 22, 3, 233]));
  });

  it('may be called twice; both wait for the same end', async () => {
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

describe('listen', () => {
  it('rejects when the port is taken', async () => {
    const { port } = await startServer();
    const second = createServer(
      loadConfig({ JWT_SECRET: 'x', HOST: '127.0.0.1', PORT: String(port) }),
    );
    await expect(second.listen()).rejects.toThrow('EADDRINUSE');
    await second.close();
  });
});
