import { createServer } from 'node:http';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { BodyReader } from '../../src/http/body/body-reader.ts';
import { connectRaw, type RawConnection } from '../support/raw.ts';
import { startServer } from '../support/server.ts';
import { sign } from '../support/tokens.ts';

const CHUNKED = 'POST /broadcast HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n';
const MEBIBYTE = 1_024 * 1_024;

function chunk(data: string | Buffer): Buffer {
  const bytes = Buffer.from(data);
  return Buffer.concat([
    Buffer.from(`${bytes.length.toString(16)}\r\n`),
    bytes,
    Buffer.from('\r\n'),
  ]);
}

function announce(bytes: number): string {
  return `POST /broadcast HTTP/1.1\r\nHost: x\r\nContent-Length: ${bytes}\r\n\r\n`;
}

describe('a body in many chunks', () => {
  it('is refused when it has more than 1,024 and one for every 64 bytes', async () => {
    const { raw } = await startServer();
    const connection = await raw();
    // 1,040 of a byte each are 1,024 and 16; one more is too many.
    connection.write(`${CHUNKED}${'1\r\nx\r\n'.repeat(1_040)}0\r\n\r\n`);
    expect((await connection.reply()).body).toBe('{"error":"Body must be a JSON object"}');

    connection.write(CHUNKED + '1\r\nx\r\n'.repeat(1_041));
    expect(await connection.reply()).toMatchObject({
      status: 413,
      headers: { connection: 'close', 'content-type': 'application/json' },
      body: '{"error":"Body has too many chunks"}',
    });
    expect((await connection.ended).length).toBe(0);
  });

  it('is the text that was sent, wherever it is cut into chunks', async () => {
    // What comes back is what was read.
    const bodies = new BodyReader(MEBIBYTE);
    const server = createServer((request, response) => {
      bodies.read(request, {
        receive: (text) => response.end(text),
        fail: (error) => response.destroy(error),
      });
    }).listen(0, '127.0.0.1');
    onTestFinished(() => void server.close());
    await new Promise((resolve) => server.once('listening', resolve));
    const address = server.address();
    const connection = await connectRaw(
      typeof address === 'object' && address !== null ? address.port : 0,
    );
    const lengths = fc.array(fc.integer({ min: 1, max: 3_000 }), { minLength: 1, maxLength: 60 });

    await fc.assert(
      fc.asyncProperty(lengths, fc.nat(1_000), async (chunkLengths, start) => {
        const length = chunkLengths.reduce((sum, one) => sum + one, 0);
        const bytes = Buffer.alloc(length);
        // ASCII with a character of four bytes here and there, which cuts go through.
        bytes.fill(Buffer.from(`${start}🌈 ${'.'.repeat(start % 7)}`));
        const text = bytes.toString();
        let at = 0;
        const chunks = chunkLengths.map((one) => {
          at += one;
          return chunk(bytes.subarray(at - one, at));
        });
        connection.write(Buffer.concat([Buffer.from(CHUNKED), ...chunks, chunk('')]));
        const { body } = await connection.reply();
        expect(body === text).toBe(true);
      }),
      { numRuns: 50 },
    );
  });
});

describe('the unfinished bodies of all connections', () => {
  it('are refused when they hold 64 MiB together: the largest first, the oldest of equal ones', async () => {
    const { raw, url } = await startServer();
    const stall = async (bytes: number): Promise<RawConnection> => {
      const connection = await raw();
      connection.write(announce(MEBIBYTE)).write(Buffer.alloc(bytes, 'x'));
      return connection;
    };
    const token = JSON.stringify({ token: sign({ channel: 'a', message: {} }) });
    const small = await raw();
    small.write(announce(token.length)).write(token.slice(0, 10));
    const smallest = await stall(100_000);
    // Each has begun before the next does, so that their order is known.
    const equals: RawConnection[] = [];
    for (let n = 0; n < 70; n += 1) {
      equals.push(await stall(MEBIBYTE - 1));
      await fetch(`${url}/healthz`);
    }

    for (const connection of equals.slice(0, 3)) {
      expect(await connection.reply()).toMatchObject({
        status: 503,
        headers: { connection: 'close', 'retry-after': '1', 'content-type': 'application/json' },
        body: '{"error":"Too many requests"}',
      });
      await connection.ended;
    }
    for (const connection of [...equals.slice(-50), smallest]) connection.socket.destroy();
    small.write(token.slice(10));
    expect((await small.reply()).status).toBe(200);
  });

  it('no longer count when their client has disconnected', async () => {
    const { raw, url } = await startServer();
    const half = Buffer.alloc(MEBIBYTE / 2, 'x');
    for (let n = 0; n < 160; n += 1) {
      const connection = await raw();
      connection.write(announce(MEBIBYTE)).write(half);
      // Answered when the half has been read, or nearly.
      await fetch(`${url}/healthz`);
      connection.socket.destroy();
    }
    const connection = await raw();
    connection.write(announce(MEBIBYTE)).write(half);
    await fetch(`${url}/healthz`);
    connection.write(half);
    expect((await connection.reply()).status).toBe(400);
  });

  it('no longer count when they are complete or refused', async () => {
    const { raw, url } = await startServer();
    const connection = await raw();
    const half = Buffer.alloc(MEBIBYTE / 2, 'x');
    for (let n = 0; n < 80; n += 1) {
      connection.write(announce(MEBIBYTE)).write(half);
      await fetch(`${url}/healthz`);
      connection.write(half);
      expect((await connection.reply()).status).toBe(400);
    }
    for (let n = 0; n < 80; n += 1) {
      const refused = await raw();
      const parts = [half, half, Buffer.from('x')].map(chunk);
      refused.write(Buffer.concat([Buffer.from(CHUNKED), ...parts]));
      expect((await refused.reply()).status).toBe(413);
    }
  });

  it('count together with the header fields of their requests', async () => {
    const { raw } = await startServer();
    const head = announce(10).replace('\r\n\r\n', `\r\n${'ab:cd\r\n'.repeat(2_200)}\r\n`);
    const connections: RawConnection[] = [];
    for (let n = 0; n < 300; n += 1) connections.push((await raw()).write(`${head}x`));
    expect((await connections[0]?.reply())?.status).toBe(503);
  });

  it('do not keep small broadcasts from being answered, however many stall', {
    timeout: 30_000,
  }, async () => {
    const { port, raw } = await startServer();
    const part = Buffer.alloc(200_000, 'x');
    let isOver = false;
    let refused = 0;
    const stallAgain = async (): Promise<void> => {
      while (!isOver) {
        const connection = await connectRaw(port).catch(() => undefined);
        // The test is over.
        if (connection === undefined) return;
        connection.write(announce(MEBIBYTE)).write(part);
        const reply = await connection.reply().catch(() => undefined);
        if (reply?.status === 503) refused += 1;
        connection.socket.destroy();
      }
    };
    onTestFinished(() => {
      isOver = true;
    });
    for (let n = 0; n < 400; n += 1) void stallAgain();

    const token = JSON.stringify({ token: sign({ channel: 'a', message: {} }) });
    const app = await raw();
    let answered = 0;
    while (answered < 50 || refused < 200) {
      // In two parts, so that it is an unfinished body for a while.
      app.write(announce(token.length)).write(token.slice(0, 10));
      await new Promise(setImmediate);
      app.write(token.slice(10));
      expect((await app.reply()).status).toBe(200);
      answered += 1;
    }
  });
});

describe('Expect: 100-continue', () => {
  const ask = (path: string, bytes: number) =>
    `POST ${path} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: ${bytes}\r\n\r\n`;

  it('is answered with 100 when the body is going to be read', async () => {
    const { raw } = await startServer();
    const connection = await raw();
    const body = JSON.stringify({ token: sign({ channel: 'a', message: {} }) });
    for (let n = 0; n < 2; n += 1) {
      connection.write(ask('/broadcast', body.length));
      expect((await connection.reply()).status).toBe(100);
      connection.write(body);
      expect(await connection.reply()).toMatchObject({
        status: 200,
        headers: { connection: 'keep-alive' },
        body: '{"message":"Success","deliveries":0}',
      });
    }
  });

  it.each([
    ['a body that is too long', '/broadcast', 1_048_577, 413],
    ['another path', '/nowhere', 10, 404],
    ['another method', '/info.json', 10, 405],
  ])('is refused at once for %s', async (_, path, bytes, status) => {
    const { raw } = await startServer();
    const connection = await raw();
    connection.write(ask(path, bytes));
    expect(await connection.reply()).toMatchObject({ status, headers: { connection: 'close' } });
  });
});
