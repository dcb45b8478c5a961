import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { parseChannel } from '../protocol/channel.ts';
import { disconnects, protocolErrors } from '../protocol/close-codes.ts';
import { encodeSubscribed } from '../protocol/messages.ts';
import { failureText, toLine } from './client.ts';

export interface ListenOptions {
  /** The server's, without `/subscribe`. */
  readonly url: string;
  readonly channels: readonly string[];
  /** Called for every connection: a token lives for a minute, listening may last for days. */
  readonly signToken: () => string;
  /** Takes every message that was broadcast, on one line. */
  readonly onMessage: (line: string) => void;
  /** Takes what happens to the connection. */
  readonly onState: (line: string) => void;
  /** Ends it. */
  readonly signal: AbortSignal;
}

/** How a connection ended. */
interface Ended {
  readonly why: string;
  /** Whether every channel was confirmed. */
  readonly subscribed: boolean;
  /** Whether the next connection would end the same way. */
  readonly final: boolean;
}

const HANDSHAKE_MS = 10_000;
/** How long the answer to a ping may take, and how often there is one. */
const HEARTBEAT_MS = 20_000;
const GOODBYE_MS = 1_000;
/** The longest body that a server can be told to take. */
const MAX_MESSAGE_BYTES = 2 ** 28;

/** Close codes after which the same client would only be refused again. */
const FINAL_CODES: ReadonlySet<number> = new Set(
  Object.values({ ...disconnects, ...protocolErrors })
    .filter(({ retry }) => retry === 'never')
    .map(({ code }) => code),
);

/** Whether a client that changes nothing but its token should connect again. */
export function shouldReturn(code: number): boolean {
  return !FINAL_CODES.has(code);
}

/**
 * Listens until the signal ends it, however often the connection breaks meanwhile.
 * Rejects when the server refuses in a way that another attempt would not change.
 */
export async function listen(options: ListenOptions): Promise<void> {
  const { signal, onState } = options;
  for (let failures = 0; ; failures += 1) {
    const { why, subscribed, final } = await connect(options);
    if (signal.aborted) return;
    if (final) throw new Error(why);

    if (subscribed) failures = 0;
    const delayMs = backOffMs(failures, Math.random());
    onState(`${why}; again in ${(delayMs / 1_000).toFixed(1)} s`);
    await sleep(delayMs, undefined, { signal }).catch(() => {});
    if (signal.aborted) return;
  }
}

const FIRST_DELAY_MS = 1_000;
const LONGEST_DELAY_MS = 30_000;

/**
 * How long to wait after that many failures in a row: up to twice as long each time.
 * `random`, from 0 to 1, spreads those who lost the same server over half of it.
 */
export function backOffMs(failures: number, random: number): number {
  const longest = Math.min(FIRST_DELAY_MS * 2 ** failures, LONGEST_DELAY_MS);
  return Math.round((longest * (1 + random)) / 2);
}

/** One connection, from the handshake to its end. Never rejects. */
function connect({ url, channels, signToken, onMessage, onState, signal }: ListenOptions) {
  return new Promise<Ended>((resolve) => {
    const endpoint = `${url.replace(/^http/, 'ws')}/subscribe`;
    const socket = new WebSocket(endpoint, {
      handshakeTimeout: HANDSHAKE_MS,
      maxPayload: MAX_MESSAGE_BYTES,
    });
    const awaited = channels.map(confirmation);
    let isOpen = false;
    let isSilent = false;
    /** What is known beside the close code. */
    let problem: string | undefined;
    let isRefused = false;

    const hangUp = () => {
      socket.close(1000);
      // A server that has stopped answering must not hold up Ctrl-C.
      setTimeout(() => socket.terminate(), GOODBYE_MS).unref();
    };
    signal.addEventListener('abort', hangUp);
    // Without it, a network that swallows everything would look like a channel where nothing happens.
    const heartbeat = setInterval(() => {
      if (!isOpen) return;
      if (isSilent) {
        problem = 'the server stopped answering';
        socket.terminate();
        return;
      }
      isSilent = true;
      socket.ping();
    }, HEARTBEAT_MS);

    socket.on('open', () => {
      isOpen = true;
      onState(`connected to ${endpoint}`);
      socket.send(JSON.stringify({ event: 'authenticate', data: signToken() }));
    });
    socket.on('pong', () => {
      isSilent = false;
    });
    socket.on('message', (data: Buffer) => {
      const text = data.toString();
      // A broadcast may look like a confirmation, but those come first and are known in advance.
      if (text !== awaited[0]) {
        // Outside its strings JSON may have line breaks, inside them only as escapes.
        onMessage(text.replaceAll(/[\r\n]+/g, ' '));
        return;
      }
      awaited.shift();
      onState(`subscribed to ${toLine(channels[channels.length - awaited.length - 1] ?? '')}`);
    });
    socket.on('unexpected-response', (_request, { statusCode = 0 }) => {
      problem = `${endpoint} answered ${statusCode} instead of a websocket`;
      // What stands in front of a server that restarts says so with a 5xx.
      isRefused = statusCode < 500 && statusCode !== 429;
      socket.terminate();
    });
    socket.on('error', (error) => {
      const what = isOpen ? 'the connection failed' : `cannot reach ${endpoint}`;
      problem ??= `${what}: ${failureText(error)}`;
    });
    socket.on('close', (code, reason) => {
      clearInterval(heartbeat);
      signal.removeEventListener('abort', hangUp);
      const subscribed = awaited.length === 0;
      const why = problem ?? toLine(`closed with ${code} ${reason.toString()}`);
      // A token that was signed a moment ago and refused will be refused again.
      if (code === disconnects.notAuthorized.code && !subscribed) {
        resolve({ why: `${why} ${STRANGER_ADVICE}`, subscribed, final: true });
      } else {
        resolve({ why, subscribed, final: isRefused || !shouldReturn(code) });
      }
    });
  });
}

const STRANGER_ADVICE = "(are JWT_SECRET and the clock the same as the server's?)";

/** What the server says when it has subscribed us; undefined for a name that it cannot take. */
function confirmation(name: string): string | undefined {
  const channel = parseChannel(name, Number.POSITIVE_INFINITY);
  return channel.ok ? encodeSubscribed(channel.value) : undefined;
}
