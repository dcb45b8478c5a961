import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { encodeFrame } from '../../../src/hub/frame.ts';

/** A websocket client of ws whose server sends just the given bytes after its handshake. */
async function receiveWithWs(bytes: Buffer): Promise<string> {
  const server = createServer((socket) => {
    socket.once('data', (request) => {
      const key = /^sec-websocket-key: (.*)$/im.exec(request.toString())?.[1]?.trim();
      // RFC 6455 §4.2.2
      const accept = createHash('sha1')
        .update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
        .digest('base64');
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
      );
      socket.write(bytes);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = new WebSocket(`ws://127.0.0.1:${port}`);
  onTestFinished(() => {
    client.terminate();
    server.close();
  });
  const [data, isBinary] = await once(client, 'message');
  expect(isBinary).toBe(false);
  return data.toString();
}

describe('encodeFrame', () => {
  it.each([0, 1, 125, 126, 65_535, 65_536, 1_048_576])(
    "makes %i bytes of payload a frame that ws's receiver takes",
    async (length) => {
      // Two bytes a character, so that a length in characters would be wrong.
      const text = 'é'.repeat(Math.floor(length / 2)) + 'x'.repeat(length % 2);
      expect(await receiveWithWs(encodeFrame(text).bytes)).toBe(text);
    },
  );

  it('takes the length form that RFC 6455 §5.2 asks for', () => {
    const head = (length: number) => [...encodeFrame('x'.repeat(length)).bytes.subarray(0, 10)];
    expect(head(0)).toEqual([0x81, 0]);
    expect(head(125).slice(0, 2)).toEqual([0x81, 125]);
    expect(head(126).slice(0, 4)).toEqual([0x81, 126, 0, 126]);
    expect(head(65_535).slice(0, 4)).toEqual([0x81, 126, 0xff, 0xff]);
    expect(head(65_536)).toEqual([0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
  });

  it('carries every character', async () => {
    const text = 'кана́л 频道 🌈 \u0000 \u2028 \ufeff';
    expect(await receiveWithWs(encodeFrame(text).bytes)).toBe(text);
  });
});
