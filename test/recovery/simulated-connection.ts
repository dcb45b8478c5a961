import type { Duplex } from 'node:stream';
import type { Parts } from '../../src/parts.ts';
import { Connection } from '../../src/websocket/connection.ts';
import type { HandledWebSocket, WebSocketHandler } from '../../src/websocket/handled-websocket.ts';
import type { Answer } from './oracle.ts';

const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;

/**
 * A connection of the server without TCP: what the server has written is a buffer, of which the client takes as much as the
 * test says. Everything above the socket is the server's own.
 */
export class SimulatedConnection {
  /** The answers to its tokens that ask for positions, in their order. */
  readonly answers: Answer[] = [];
  readonly connection: Connection;
  readonly #unread: string[] = [];
  #written = Buffer.alloc(0);
  #handler: WebSocketHandler | undefined;
  #readyState = OPEN;
  #isPaused = false;

  constructor(parts: Parts) {
    this.connection = new Connection(this.#createWebSocket(), this.#createSocket(), '', parts);
  }

  /** All bytes that the server has written so far. */
  get written(): Buffer {
    return this.#written;
  }

  /** False when the server has begun to close it. */
  get isOpen(): boolean {
    return this.#readyState === OPEN;
  }

  /** Says something to the server. */
  send(message: unknown): void {
    this.#unread.push(JSON.stringify(message));
    this.#read();
  }

  /** The server notices that the connection is gone. */
  notice(): void {
    if (this.#readyState === CLOSED) return;
    this.#readyState = CLOSED;
    this.#handler?.onClose(1006);
  }

  #read(): void {
    while (!this.#isPaused && this.#readyState !== CLOSED) {
      const text = this.#unread.shift();
      if (text === undefined) return;
      this.#handler?.onMessage(Buffer.from(text), false);
    }
  }

  #createWebSocket(): HandledWebSocket {
    const simulated = this;
    const webSocket = {
      extensions: '',
      get readyState() {
        return simulated.#readyState;
      },
      get isPaused() {
        return simulated.#isPaused;
      },
      handleWith(handler: WebSocketHandler) {
        simulated.#handler = handler;
      },
      pause() {
        simulated.#isPaused = true;
      },
      resume() {
        simulated.#isPaused = false;
        setImmediate(() => simulated.#read());
      },
      close() {
        simulated.#readyState = CLOSING;
      },
      terminate() {
        setImmediate(() => simulated.notice());
      },
      ping() {},
    };
    return webSocket as unknown as HandledWebSocket;
  }

  #createSocket(): Duplex {
    const socket = {
      writableLength: 0,
      cork() {},
      uncork() {},
      write: (bytes: Buffer, onWritten?: () => void) => {
        this.#written = Buffer.concat([this.#written, bytes]);
        if (onWritten !== undefined) setImmediate(onWritten);
        return true;
      },
    };
    return socket as unknown as Duplex;
  }
}
