import { WebSocket } from 'ws';
import { parseChannel } from '../protocol/channel.ts';
import { disconnects } from '../protocol/close-codes.ts';
import { encodeSubscribed } from '../protocol/messages.ts';
import { failureText, toLine } from './one-line.ts';

export interface ListenOptions {
  /** The server's, without `/subscribe`. */
  readonly url: string;
  readonly channels: readonly string[];
  /** Called for every connection: a token lives for a minute, listening may last for days. */
  readonly signToken: () => string;
  /** Called with every broadcast message, on one line. */
  readonly onMessage: (line: string) => void;
  /** Called with every change of the connection's state, on one line. */
  readonly onState: (line: string) => void;
  /** Ends the listening. */
  readonly signal: AbortSignal;
}

/** How a connection ended. */
interface ConnectionEnd {
  readonly reason: string;
  readonly code: number;
  /** True if every channel was confirmed. */
  readonly subscribed: boolean;
  /** True if the next attempt would be refused in the same way, whatever the close code says. */
  readonly refused: boolean;
}

const HANDSHAKE_TIMEOUT_MS = 10_000;
/** One ping per interval. Its pong must arrive before the next one. */
const PING_INTERVAL_MS = 20_000;
const CLOSE_TIMEOUT_MS = 1_000;
/** The upper limit of the server's MAX_BODY_BYTES. */
const MAX_MESSAGE_BYTES = 2 ** 28;

const SECRET_ADVICE = "(are JWT_SECRET and the clock the same as the server's?)";

/** One connection of `bifrost listen`, from the handshake to its end. */
export class ListenConnection {
  /** Never rejects. */
  readonly ended: Promise<ConnectionEnd>;
  readonly #options: ListenOptions;
  readonly #endpoint: string;
  readonly #socket: WebSocket;
  /** The confirmations that the server has not sent yet, in its order. */
  readonly #unconfirmed: (string | undefined)[];
  readonly #pinging: NodeJS.Timeout;
  #isOpen = false;
  #awaitsPong = false;
  /** Says more than the close code, where it is known. */
  #problem: string | undefined;
  #refused = false;

  constructor(options: ListenOptions) {
    this.#options = options;
    this.#endpoint = `${options.url.replace(/^http/, 'ws')}/subscribe`;
    this.#unconfirmed = options.channels.map(confirmation);
    this.#socket = new WebSocket(this.#endpoint, {
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      maxPayload: MAX_MESSAGE_BYTES,
    });
    options.signal.addEventListener('abort', this.#close);
    this.#pinging = setInterval(() => this.#ping(), PING_INTERVAL_MS);
    this.ended = new Promise((resolve) => {
      this.#socket.on('close', (code, reason) => resolve(this.#end(code, reason.toString())));
    });
    this.#socket.on('open', () => this.#authenticate());
    this.#socket.on('message', (data: Buffer) => this.#receive(data.toString()));
    this.#socket.on('pong', () => {
      this.#awaitsPong = false;
    });
    this.#socket.on('unexpected-response', (_, { statusCode = 0 }) => this.#refuse(statusCode));
    this.#socket.on('error', (error) => {
      const what = this.#isOpen ? 'the connection failed' : `cannot reach ${this.#endpoint}`;
      this.#problem ??= `${what}: ${failureText(error)}`;
    });
  }

  readonly #close = () => {
    this.#socket.close(1000);
    // A server that no longer answers must not delay the exit.
    setTimeout(() => this.#socket.terminate(), CLOSE_TIMEOUT_MS).unref();
  };

  /** Detects a dead network. Without pings it would look like a channel without messages. */
  #ping(): void {
    if (!this.#isOpen) return;
    if (this.#awaitsPong) {
      this.#problem = 'the server stopped answering';
      this.#socket.terminate();
      return;
    }
    this.#awaitsPong = true;
    this.#socket.ping();
  }

  #authenticate(): void {
    this.#isOpen = true;
    this.#options.onState(`connected to ${this.#endpoint}`);
    this.#socket.send(JSON.stringify({ event: 'authenticate', data: this.#options.signToken() }));
  }

  #receive(text: string): void {
    const { channels, onMessage, onState } = this.#options;
    // A broadcast may have the text of a confirmation. The confirmations come first, so the next one is known.
    if (text !== this.#unconfirmed[0]) {
      // JSON has line breaks between its tokens only; inside a string they are escaped.
      onMessage(text.replaceAll(/[\r\n]+/g, ' '));
      return;
    }
    this.#unconfirmed.shift();
    onState(
      `subscribed to ${toLine(channels[channels.length - this.#unconfirmed.length - 1] ?? '')}`,
    );
  }

  /** The server answered the handshake with an HTTP reply. */
  #refuse(statusCode: number): void {
    this.#problem = `${this.#endpoint} answered ${statusCode} instead of a websocket`;
    // A proxy answers 5xx while the server behind it restarts.
    this.#refused = statusCode < 500 && statusCode !== 429;
    this.#socket.terminate();
  }

  #end(code: number, text: string): ConnectionEnd {
    clearInterval(this.#pinging);
    this.#options.signal.removeEventListener('abort', this.#close);
    const subscribed = this.#unconfirmed.length === 0;
    const reason = this.#problem ?? toLine(`closed with ${code} ${text}`);
    // The token was new, so the server would refuse the next one too.
    if (code === disconnects.notAuthorized.code && !subscribed) {
      return { reason: `${reason} ${SECRET_ADVICE}`, code, subscribed, refused: true };
    }
    return { reason, code, subscribed, refused: this.#refused };
  }
}

/** The text with which the server confirms a channel; undefined for a name that no server accepts. */
function confirmation(name: string): string | undefined {
  const channel = parseChannel(name, Number.POSITIVE_INFINITY);
  return channel.ok ? encodeSubscribed(channel.value) : undefined;
}
