import type { Socket } from 'node:net';
import { clientFrame } from '../support/client-frame.ts';
import { type HttpReply, openSocket, parseReply } from './http-client.ts';

export interface ServerFrame {
  readonly opcode: number;
  readonly payload: Buffer;
}

export interface Close {
  readonly code: number;
  readonly reason: string;
}

export const TEXT = 1;
const CLOSE = 8;
const PING = 9;
const PONG = 10;

const NOTHING: Buffer = Buffer.alloc(0);

export interface WireOptions {
  /** False for a peer that ignores close frames. */
  readonly answersClose?: boolean;
  readonly idleTimeoutMs?: number;
}

/**
 * A websocket client that sends any bytes and parses everything that the server sends. Whatever RFC 6455 forbids a
 * server to send is a `fault`.
 */
export class WireClient {
  readonly socket: Socket;
  /** Resolves when the TCP connection has closed, for whatever reason. Never rejects. */
  readonly disconnected: Promise<void>;
  /** The answer to the handshake. */
  reply: HttpReply | undefined;
  close: Close | undefined;
  fault: string | undefined;
  /** Whether the server sent a FIN. False after a reset or a timeout. */
  ended = false;
  /** The texts and pongs that arrived, unless `onFrame` is replaced. */
  readonly frames: ServerFrame[] = [];
  onFrame: (frame: ServerFrame) => void = (received) => this.frames.push(received);
  onClose: () => void = () => {};
  readonly #answersClose: boolean;
  #unparsed = NOTHING;
  #wake: (() => void) | undefined;

  constructor(port: number, { answersClose = true, idleTimeoutMs }: WireOptions = {}) {
    this.#answersClose = answersClose;
    this.socket = openSocket(port, idleTimeoutMs);
    this.socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    this.socket.on('end', () => {
      this.ended = true;
    });
    this.disconnected = new Promise((resolve) => {
      this.socket.on('close', () => {
        resolve();
        this.#wake?.();
      });
    });
  }

  send(...parts: readonly Buffer[]): this {
    const [only] = parts;
    this.socket.write(parts.length === 1 && only !== undefined ? only : Buffer.concat(parts));
    return this;
  }

  /** Resolves to true when `arrived` does, and to false when the connection has closed before. */
  async until(arrived: () => boolean): Promise<boolean> {
    for (;;) {
      if (arrived()) return true;
      if (this.socket.closed) return false;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Resolves to whether the server answered the handshake with 101. */
  async upgraded(): Promise<boolean> {
    await this.until(() => this.reply !== undefined);
    return this.reply?.status === 101;
  }

  /** Resolves to whether this many frames have arrived. */
  received(count: number): Promise<boolean> {
    return this.until(() => this.frames.length >= count);
  }

  get texts(): string[] {
    return this.frames.map(({ opcode, payload }) =>
      opcode === TEXT ? payload.toString() : `opcode ${opcode} ${payload.toString('hex')}`,
    );
  }

  /** Whether the connection ended with this close frame and nothing before it. */
  closedWith(code: number, reason = ''): boolean {
    return (
      this.fault === undefined &&
      this.frames.length === 0 &&
      this.close?.code === code &&
      this.close.reason === reason
    );
  }

  describe(): string {
    const frames = this.texts.slice(0, 3).join(' ').slice(0, 120);
    const close =
      this.close === undefined ? 'no close frame' : `${this.close.code} ${this.close.reason}`;
    return [this.fault, `${this.reply?.status ?? 'no reply'}`, frames, close]
      .filter(Boolean)
      .join(', ');
  }

  #receive(chunk: Buffer): void {
    this.#unparsed = this.#unparsed.length === 0 ? chunk : Buffer.concat([this.#unparsed, chunk]);
    try {
      if (this.reply === undefined) {
        const parsed = parseReply(this.#unparsed);
        if (parsed === undefined) return;
        this.reply = parsed.reply;
        this.#unparsed = this.#unparsed.subarray(parsed.end);
      }
      while (this.#takeFrame());
    } catch (error) {
      this.fault ??= (error as Error).message;
    }
    this.#wake?.();
  }

  #takeFrame(): boolean {
    const bytes = this.#unparsed;
    if (bytes.length < 2) return false;
    if (this.close !== undefined) throw new Error('bytes after a close frame');
    const [first = 0, second = 0] = bytes;
    const opcode = first & 0x0f;
    if ((first & 0xf0) !== 0x80) throw new Error(`first byte ${first.toString(16)}`);
    if (second > 127) throw new Error('a masked frame');
    if (opcode >= 8 && second > 125) throw new Error('a long control frame');

    const start = second < 126 ? 2 : second === 126 ? 4 : 10;
    if (bytes.length < start) return false;
    const length =
      second < 126
        ? second
        : second === 126
          ? bytes.readUInt16BE(2)
          : Number(bytes.readBigUInt64BE(2));
    const end = start + length;
    if (bytes.length < end) return false;
    this.#unparsed = bytes.subarray(end);
    this.#take({ opcode, payload: bytes.subarray(start, end) });
    return true;
  }

  #take(received: ServerFrame): void {
    const { opcode, payload } = received;
    switch (opcode) {
      case TEXT:
      case PONG:
        this.onFrame(received);
        return;
      case PING:
        this.send(clientFrame(payload, { first: 0x8a }));
        return;
      case CLOSE:
        this.close = {
          code: payload.length === 0 ? 1005 : payload.readUInt16BE(0),
          reason: payload.toString('utf8', 2),
        };
        this.onClose();
        if (this.#answersClose) this.send(clientFrame(payload, { first: 0x88 }));
        return;
      default:
        throw new Error(`opcode ${opcode}`);
    }
  }
}
