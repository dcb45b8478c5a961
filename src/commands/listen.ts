import type { Writable } from 'node:stream';
import { BifrostClient } from '../client/index.ts';
import { disconnects } from '../protocol/close-codes.ts';
import { abortOnStop } from './abort-on-stop.ts';
import { parseArguments } from './arguments.ts';
import { CHANNEL_OPTION, type Command, URL_OPTION, UsageError } from './command.ts';
import { ListenSocket } from './listen-socket.ts';
import { toLine } from './one-line.ts';
import { exitWithoutReader } from './output.ts';
import { signSubscription } from './sign.ts';
import { findTarget, loadEnvironment } from './target.ts';
import { describeTokenRefusal } from './token-refusal.ts';

export const listen: Command = {
  summary: 'print the messages of channels as they come',
  help: `bifrost listen CHANNEL [CHANNEL …] [--raw] [--url URL]

Prints every message of the channels, each on a line, until Ctrl-C. What happens to the connection goes to standard
error. When it breaks, it is made again, unless the server says that there is no point; messages that were missed are
printed then, or standard error says on which channels some may be lost.

  -c, --channel NAME  a channel, beside CHANNEL or instead of it; may be repeated
  -r, --raw           ask for no positions, print each frame as it comes, and recover nothing
  -u, --url URL       the server (default: BIFROST_URL, else this machine, by PORT)`,
  async run(args) {
    const { values, positionals } = parseArguments(args, {
      channel: CHANNEL_OPTION,
      raw: { type: 'boolean', short: 'r' },
      url: URL_OPTION,
    });
    const channels = [...positionals, ...(values.channel ?? [])];
    if (channels.length === 0) throw new UsageError('takes at least one channel');
    const { secret, url } = findTarget(loadEnvironment(), values.url);
    try {
      await keepListening({
        url,
        channels,
        raw: values.raw ?? false,
        signToken: () => signSubscription(channels, secret),
        output: process.stdout,
        onState: (line) => console.error(line),
        signal: abortOnStop(),
      });
    } finally {
      exitWithoutReader();
    }
  },
};

export interface ListenOptions {
  /** The server's, without `/subscribe`. */
  readonly url: string;
  readonly channels: readonly string[];
  /** Asks for plain frames, without positions, and prints each as it comes. */
  readonly raw: boolean;
  /** Called for every connection: a token lives for a minute, listening may last for days. */
  readonly signToken: () => string;
  /** Gets every broadcast message, on one line. While it is full, nothing is read from the server. */
  readonly output: Writable;
  /** Called with every change of the connection's state, on one line. */
  readonly onState: (line: string) => void;
  /** Ends the listening. */
  readonly signal: AbortSignal;
}

/**
 * Listens until `signal` is aborted, and reconnects whenever the connection breaks.
 * Rejects when the server refuses in a way that another attempt would not change.
 */
export function keepListening(options: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => new Listener(options, resolve, reject).start());
}

class Listener {
  readonly #options: ListenOptions;
  readonly #resolve: () => void;
  readonly #reject: (error: Error) => void;
  readonly #client: BifrostClient;
  #socket: ListenSocket | undefined;
  /** True while the output takes no more. */
  #isFull = false;
  /** True if the connection ended meanwhile. */
  #isHeld = false;

  constructor(options: ListenOptions, resolve: () => void, reject: (error: Error) => void) {
    this.#options = options;
    this.#resolve = resolve;
    this.#reject = reject;
    const { url, channels, raw, signToken, onState } = options;
    const onMessage = (text: string) => this.#print(text);
    const socketOptions = { channels: channels.length, raw, onMessage, onState };
    const keep = (socket: ListenSocket) => {
      this.#socket = socket;
    };
    this.#client = new BifrostClient(`${url.replace(/^http/, 'ws')}/subscribe`, {
      token: signToken,
      WebSocket: class extends ListenSocket {
        constructor(address: string) {
          super(address, socketOptions);
          keep(this);
        }
      },
    });
  }

  start(): void {
    const { signal, raw, onState } = this.#options;
    this.#client.onState((state, error) => {
      if (error) this.#goOnAfter(error, state === 'closed');
    });
    if (!raw) {
      this.#client.onMessage(({ text }) => this.#print(text));
      this.#client.onGap(({ channels }) => {
        onState(`messages may be lost on ${channels.map(toLine).join(', ')}`);
      });
    }
    signal.addEventListener('abort', () => {
      this.#client.close();
      this.#resolve();
    });
    this.#client.connect();
  }

  /** The connection ended, and the client waits for its next attempt unless it is closed. */
  #goOnAfter(error: Error & { code?: number }, isClosed: boolean): void {
    const { problem, refused, subscribed } = this.#socket ?? {};
    const reason = problem ?? toLine(error.message.replace(/^./, (first) => first.toLowerCase()));
    // The token was new, so the server would refuse the next one too.
    const isUnauthorized = error.code === disconnects.notAuthorized.code && !subscribed;
    if (isClosed || refused || isUnauthorized) {
      this.#client.close();
      this.#reject(new Error(isUnauthorized ? describeTokenRefusal(reason) : reason));
    } else if (this.#isFull) {
      this.#isHeld = true;
      this.#client.close();
      this.#options.onState(`${reason}; connecting again when standard output is read`);
    } else {
      this.#options.onState(`${reason}; connecting again`);
    }
  }

  #print(text: string): void {
    const { output, signal } = this.#options;
    // JSON has line breaks between its tokens only; inside a string they are escaped.
    const isTaken = output.write(`${text.replaceAll(/[\r\n]+/g, ' ')}\n`);
    if (isTaken || this.#isFull) return;
    this.#isFull = true;
    this.#socket?.pause();
    output.once('drain', () => {
      this.#isFull = false;
      this.#socket?.resume();
      if (this.#isHeld && !signal.aborted) this.#client.connect();
      this.#isHeld = false;
    });
  }
}
