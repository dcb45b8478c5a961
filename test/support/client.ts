import { once } from 'node:events';
import { onTestFinished } from 'vitest';
import { type ClientOptions, WebSocket } from 'ws';
import { sign } from './tokens.ts';

export interface Closed {
  readonly code: number;
  readonly reason: string;
}

/** Connects and resolves when the websocket is open. */
export async function connectClient(url: string, options: ClientOptions = {}): Promise<TestClient> {
  const socket = new WebSocket(url, options);
  const client = new TestClient(socket);
  onTestFinished(() => socket.terminate());
  await once(socket, 'open');
  return client;
}

/** A websocket client that queues what arrives from the first moment: no message is missed, none needs a wait. */
export class TestClient {
  readonly socket: WebSocket;
  readonly closed: Promise<Closed>;
  readonly #queue: { data: Buffer; isBinary: boolean }[] = [];

  constructor(socket: WebSocket) {
    this.socket = socket;
    // Errors are followed by a close, which is what tests look at.
    socket.on('error', () => {});
    socket.on('message', (data: Buffer, isBinary) => {
      this.#queue.push({ data, isBinary });
      socket.emit('queued');
    });
    this.closed = new Promise((resolve) => {
      socket.on('close', (code, reason) => {
        resolve({ code, reason: reason.toString() });
        socket.emit('queued');
      });
    });
  }

  /** The next text message as it came. Rejects when the connection has closed instead. */
  async nextText(): Promise<string> {
    while (this.#queue.length === 0) {
      if (this.socket.readyState === WebSocket.CLOSED) {
        const { code, reason } = await this.closed;
        throw new Error(`closed with ${code} ${reason} instead of a message`);
      }
      await once(this.socket, 'queued');
    }
    const message = this.#queue.shift();
    if (message === undefined || message.isBinary) throw new Error('expected a text message');
    return message.data.toString();
  }

  /** The next message, parsed. */
  async next(): Promise<unknown> {
    return JSON.parse(await this.nextText());
  }

  /** Messages that came and were not asked for. */
  get waiting(): number {
    return this.#queue.length;
  }

  send(message: unknown): this {
    this.socket.send(typeof message === 'string' ? message : JSON.stringify(message));
    return this;
  }

  authenticate(token: unknown): this {
    return this.send({ event: 'authenticate', data: token });
  }

  /** Authenticates for the channels and waits until each is confirmed. */
  async subscribe(...channels: string[]): Promise<this> {
    this.authenticate(sign({ channels }));
    for (const _ of channels) await this.nextText();
    return this;
  }

  /** Resolves when the server has seen all that was sent before: a fence. */
  async ping(): Promise<void> {
    this.send({ event: 'ping' });
    const answer = await this.nextText();
    if (answer !== '{"event":"pong"}') throw new Error(`expected a pong, got ${answer}`);
  }
}
