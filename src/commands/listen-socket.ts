import { WebSocket } from 'ws';
import { parseFrame } from '../client/frame.ts';
import { failureText, toLine } from './one-line.ts';

export interface ListenSocketOptions {
  /** How many channels the token names. */
  readonly channels: number;
  /** True to ask for plain frames, without positions, and to print each as it comes. */
  readonly raw: boolean;
  /** Called with every broadcast, if `raw`. */
  readonly onMessage: (text: string) => void;
  /** Called with every change of the connection's state, on one line. */
  readonly onState: (line: string) => void;
}

const CLOSE_TIMEOUT_MS = 1_000;
/** The upper limit of the server's MAX_BODY_BYTES. */
const MAX_MESSAGE_BYTES = 2 ** 28;
const PONG = '{"event":"pong"}';

/** A websocket for the client that also tells what the client keeps to itself. */
export class ListenSocket extends WebSocket {
  /** Why it ended. */
  problem: string | undefined;
  /** True if the next attempt would be refused in the same way, whatever the close code says. */
  refused = false;
  readonly #options: ListenSocketOptions;
  /** Confirmations that have not come yet. They come first, so a broadcast with the same text is told apart. */
  #unconfirmed: number;
  /** Pings that are not answered. */
  #unanswered = 0;

  constructor(url: string, options: ListenSocketOptions) {
    super(url, { maxPayload: MAX_MESSAGE_BYTES });
    this.#options = options;
    this.#unconfirmed = options.channels;
    let isOpen = false;
    this.on('open', () => {
      isOpen = true;
      options.onState(`connected to ${url}`);
    });
    this.on('message', (data: Buffer) => this.#receive(data));
    this.on('unexpected-response', (_, { statusCode = 0 }) => {
      this.problem = `${url} answered ${statusCode} instead of a websocket`;
      // A proxy answers 5xx while the server behind it restarts.
      this.refused = statusCode < 500 && statusCode !== 429;
      this.terminate();
    });
    this.on('error', (error) => {
      const what = isOpen ? 'the connection failed' : `cannot reach ${url}`;
      this.problem ??= `${what}: ${failureText(error)}`;
    });
    this.on('close', (code, reason) => {
      this.problem ??= toLine(`closed with ${code} ${reason}`);
    });
  }

  /** True if every channel was confirmed. */
  get subscribed(): boolean {
    return this.#unconfirmed === 0;
  }

  override send(text: string): void {
    const { event, data } = JSON.parse(text);
    if (event === 'ping') this.#unanswered += 1;
    const isPlain = this.#options.raw && event === 'authenticate';
    super.send(isPlain ? JSON.stringify({ event, data }) : text);
  }

  /** Says goodbye. A server that no longer answers does not delay the exit. */
  override close(): void {
    super.close(1000);
    setTimeout(() => this.terminate(), CLOSE_TIMEOUT_MS).unref();
  }

  #receive(data: Buffer): void {
    const { raw, onMessage } = this.#options;
    // What comes after `close` the client does not receive either.
    if (this.readyState !== WebSocket.OPEN || (!raw && this.subscribed)) return;
    const text = data.toString();
    if (!this.subscribed && this.#confirm(text)) return;
    if (!raw) return;
    if (text === PONG && this.#unanswered > 0) this.#unanswered -= 1;
    else onMessage(text);
  }

  /** Returns false if it is no confirmation. */
  #confirm(text: string): boolean {
    const frame = parseFrame(text, () => false);
    if (frame?.type !== 'subscribed') return false;
    this.#unconfirmed -= 1;
    const { channel, recovered, missed } = frame;
    this.#options.onState(`subscribed to ${toLine(channel)}${recovered ? verdict(missed) : ''}`);
    return true;
  }
}

function verdict(missed = 0): string {
  if (missed === 0) return ', nothing was missed';
  return missed === 1 ? ', 1 missed message follows' : `, ${missed} missed messages follow`;
}
