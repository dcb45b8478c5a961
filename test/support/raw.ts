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
