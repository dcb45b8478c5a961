import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

export interface RawReply {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** The whole answer as it came. */
  readonly text: string;
}

/** A TCP connection to the server, for what no client library would send. */
export async function connectRaw(port: number): Promise<RawConnection> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  await once(socket, 'connect');
  onTestFinished(() => {
    socket.destroy();
  });
  return new RawConnection(socket);
}

/** Reads from the first moment, so nothing that arrives is missed. */
export class RawConnection {
  readonly socket: Socket;
  /** Everything the server sent, once its side of the connection has ended. Rejects on a reset. */
  readonly ended: Promise<Buffer>;
  #received = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.socket = socket;
    this.ended = new Promise((resolve, reject) => {
      socket.on('end', () => resolve(this.#received));
      socket.on('error', reject);
    });
    // A test that expects a reset looks at the promise; the others need not.
    this.ended.catch(() => {});
    socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      socket.emit('received');
    });
  }

  write(data: string | Buffer): this {
    this.socket.write(data);
    return this;
  }

  /** Resolves to the first `length` bytes that no earlier call took. */
  async take(length: number): Promise<Buffer> {
    while (this.#received.length < length) await once(this.socket, 'received');
    const taken = this.#received.subarray(0, length);
    this.#received = this.#received.subarray(length);
    return taken;
  }

  /** Resolves to one whole HTTP answer with a Content-Length; a HEAD answer has no body. */
  async reply({ head = false } = {}): Promise<RawReply> {
    let end = -1;
    for (;;) {
      end = this.#received.indexOf('\r\n\r\n');
      if (end !== -1) break;
      await once(this.socket, 'received');
    }
    const top = (await this.take(end + 4)).toString('latin1');
    const [statusLine = '', ...lines] = top.trimEnd().split('\r\n');
    const headers = Object.fromEntries(
      lines.map((line) => {
        const colon = line.indexOf(':');
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
      }),
    );
    const body = head ? '' : (await this.take(Number(headers['content-length'] ?? 0))).toString();
    return { status: Number(statusLine.split(' ')[1]), headers, body, text: top + body };
  }
}

/** The lines of a correct websocket handshake, to be changed one at a time. */
export function handshake({
  path = '/subscribe',
  method = 'GET',
  headers = {},
}: {
  path?: string;
  method?: string;
  /** Undefined leaves a field out. */
  headers?: Readonly<Record<string, string | undefined>>;
} = {}): string {
  const fields = {
    Host: 'localhost',
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    ...headers,
  };
  const lines = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`;
}

/** A client frame (RFC 6455 §5.2), masked as clients must unless told otherwise. */
export function clientFrame(
  payload: string | Buffer,
  { first = 0x81, masked = true }: { first?: number; masked?: boolean } = {},
): Buffer {
  const data = Buffer.from(payload);
  const mask = Buffer.from([0x12, 0x34, 0x56, 0x78]);
  const flag = masked ? 0x80 : 0;
  const length =
    data.length < 126
      ? Buffer.from([flag | data.length])
      : data.length < 65_536
        ? Buffer.from([flag | 126, data.length >> 8, data.length & 0xff])
        : Buffer.from([flag | 127, 0, 0, 0, 0, ...new Uint8Array(bigEndian(data.length))]);
  if (!masked) return Buffer.concat([Buffer.from([first]), length, data]);
  return Buffer.concat([
    Buffer.from([first]),
    length,
    mask,
    data.map((byte, index) => byte ^ (mask[index % 4] ?? 0)),
  ]);
}

function bigEndian(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
