import { disconnects } from '../../protocol/close-codes.ts';
import { ListenSocket } from '../listen-socket.ts';
import { signSubscription } from '../sign.ts';
import { describeTokenRefusal } from '../token-refusal.ts';

/** A websocket that subscribes to one channel of a server. */
export class Subscriber {
  readonly #socket: ListenSocket;
  readonly #timeoutMs: number;
  /** The message that is waited for. Nothing else is kept: the server may be a stranger's. */
  #expected: string | undefined;
  #hasReceived = false;
  #closeCode: number | undefined;
  /** Looks again whether what is waited for has happened. */
  #look = () => {};

  constructor(url: string, channel: string, secret: string, timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
    this.#socket = new ListenSocket(`${url.replace(/^http/, 'ws')}/subscribe`, {
      channels: 1,
      raw: true,
      onMessage: (text) => {
        if (text === this.#expected) this.#hasReceived = true;
        this.#look();
      },
      onState: () => this.#look(),
    });
    this.#socket.on('open', () => {
      const data = signSubscription([channel], secret);
      this.#socket.send(JSON.stringify({ event: 'authenticate', data }));
    });
    this.#socket.on('close', (code) => {
      this.#closeCode = code;
      this.#look();
    });
  }

  /** Resolves to why it cannot be subscribed; undefined once it is. */
  async whyNotSubscribed(): Promise<string | undefined> {
    if (await this.#happens(() => this.#socket.subscribed)) return undefined;
    const problem = this.#socket.problem ?? `no answer within ${this.#timeoutMs / 1_000} s`;
    if (this.#closeCode === disconnects.notAuthorized.code) return describeTokenRefusal(problem);
    return `${problem} (a proxy must pass Upgrade and Connection on; the log of the server may say more)`;
  }

  /** To be called before the message is posted: it may arrive before the answer. */
  expect(text: string): void {
    this.#expected = text;
  }

  /** Resolves to whether the expected message arrives. */
  receives(): Promise<boolean> {
    return this.#happens(() => this.#hasReceived);
  }

  close(): void {
    this.#socket.close();
  }

  /** Resolves to whether it happens in time, before the connection ends. Is called once at a time. */
  #happens(condition: () => boolean): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), this.#timeoutMs);
      this.#look = () => {
        if (!condition() && this.#closeCode === undefined) return;
        clearTimeout(timer);
        resolve(condition());
      };
      this.#look();
    });
  }
}
