import type { Socket } from 'node:net';
import { sign } from '../support/tokens.ts';
import { type HttpReply, openSocket, parseReply } from './http-wire.ts';

/** The lines of a correct handshake, to be changed; undefined leaves a field out. */
export function handshake({
  path = '/subscribe',
  method = 'GET',
  fields = {},
}: {
  readonly path?: string;
  readonly method?: string;
  readonly fields?: Readonly<Record<string, string | undefined>>;
} = {}): string {
  const all = {
    Host: 'localhost',
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    ...fields,
  };
  const lines = Object.entries(all)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`;
}

export const HANDSHAKE = Buffer.from(handshake());

export interface FrameOptions {
  /** FIN, RSV bits and opcode; text in one piece unless told otherwise. */
  readonly first?: number;
  /** Null leaves the mask out. The default changes nothing: legal, and free. */
  readonly mask?: Buffer | null;
  /** How many bytes hold the length; as few as possible unless told otherwise. */
  readonly lengthBytes?: 0 | 2 | 8;
  /** What the frame says its length is. */
  readonly length?: number | bigint;
}

const NO_MASK_EFFECT = Buffer.alloc(4);

/** A client's frame (RFC 6455 §5.2), or something that looks like one. */
export function frame(payload: string | Buffer, options: FrameOptions = {}): Buffer {
  const data = Buffer.from(payload);
  const { first = 0x81, mask = NO_MASK_EFFECT, length = data.length } = options;
  const lengthBytes = options.lengthBytes ?? (length < 126 ? 0 : length < 65_536 ? 2 : 8);
  const head = Buffer.alloc(2 + lengthBytes);
  head[0] = first;
  head[1] =
    (mask === null ? 0 : 0x80) |
    (lengthBytes === 0 ? Number(length) : lengthBytes === 2 ? 126 : 127);
  if (lengthBytes === 2) head.writeUInt16BE(Number(length), 2);
  if (lengthBytes === 8) head.writeBigUInt64BE(BigInt(length), 2);
  if (mask === null) return Buffer.concat([head, data]);
  if (mask !== NO_MASK_EFFECT) {
    for (let index = 0; index < data.length; index += 1) {
      data[index] = (data[index] as number) ^ (mask[index % 4] as number);
    }
  }
  return Buffer.concat([head, mask, data]);
}

export function closeFrame(code: number, reason: string | Buffer = ''): Buffer {
  return frame(Buffer.concat([Buffer.from([code >> 8, code & 0xff]), Buffer.from(reason)]), {
    first: 0x88,
  });
}

export const PING_MESSAGE = frame('{"event":"ping"}');
export const PONG_TEXT = '{"event":"pong"}';

export function authenticate(token: unknown): Buffer {
  return frame(JSON.stringify({ event: 'authenticate', data: token }));
}

export function subscribe(channels: readonly string[]): Buffer {
  return authenticate(sign({ channels }));
}

/** The confirmation, as the contract writes it. */
export function subscribedText(channel: string): string {
  return JSON.stringify({ event: 'subscribed', data: JSON.stringify({ channel }) });
}

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
  /** False is a peer that ignores the close frame of the server. */
  readonly answersClose?: boolean;
  readonly patienceMs?: number;
}

/**
 * A websocket client that sends whatever it is told and holds the server to RFC 6455: every byte that comes back is
 * parsed from the first moment, and what no server may send is a `fault`.
 */
export class WireClient {
  readonly socket: Socket;
  /** Resolves when the connection is gone, however it ended. */
  readonly gone: Promise<void>;
  /** The answer to the handshake. */
  reply: HttpReply | undefined;
  close: Close | undefined;
  fault: string | undefined;
  /** Whether the server ended its side, rather than that the connection was reset or timed out. */
  ended = false;
  /** What arrived, without close frames and pings. `onFrame` takes them instead. */
  readonly frames: ServerFrame[] = [];
  onFrame: (frame: ServerFrame) => void = (received) => this.frames.push(received);
  onClose: () => void = () => {};
  readonly #answersClose: boolean;
  #unparsed = NOTHING;
  #wake: (() => void) | undefined;

  constructor(port: number, { answersClose = true, patienceMs }: WireOptions = {}) {
    this.#answersClose = answersClose;
    this.socket = openSocket(port, patienceMs);
    this.socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    this.socket.on('end', () => {
      this.ended = true;
    });
    this.gone = new Promise((resolve) => {
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

  /** Resolves when `arrived` says so, or the connection is gone. */
  async until(arrived: () => boolean): Promise<boolean> {
    for (;;) {
      if (arrived()) return true;
      if (this.socket.closed) return false;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Whether the server answered the handshake with 101. */
  async upgraded(): Promise<boolean> {
    await this.until(() => this.reply !== undefined);
    return this.reply?.status === 101;
  }

  /** Whether this many frames have come. */
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
        this.send(frame(payload, { first: 0x8a }));
        return;
      case CLOSE:
        this.close = {
          code: payload.length === 0 ? 1005 : payload.readUInt16BE(0),
          reason: payload.toString('utf8', 2),
        };
        this.onClose();
        if (this.#answersClose) this.send(frame(payload, { first: 0x88 }));
        return;
      default:
        throw new Error(`opcode ${opcode}`);
    }
  }
}
