// A process that posts broadcasts: HTTP/1.1 over raw sockets kept alive, so that it costs less than what it measures.
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { serveProcedures } from '../test/support/child-rpc.ts';
import { Arrivals } from './arrivals.ts';
import { createMessage, type MessageKind } from './message.ts';
import { signExpiring } from './token.ts';

/** A connection that posts one request at a time. */
class Client {
  readonly #socket: Socket;
  #received = '';
  #onReply: ((reply: string) => void) | undefined;
  #onError: ((error: Error) => void) | undefined;

  constructor(port: number) {
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.#socket.setEncoding('latin1');
    this.#socket.on('data', (text: unknown) => this.#read(String(text)));
    this.#socket.on('error', (error) => this.#onError?.(error));
    this.#socket.on('close', () => this.#onError?.(new Error('The server hung up on a POST')));
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed;
  }

  /** Resolves to the whole answer. */
  post(request: Buffer): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#onReply = resolve;
      this.#onError = reject;
      this.#socket.write(request);
    });
  }

  #read(text: string): void {
    this.#received += text;
    const headEnd = this.#received.indexOf('\r\n\r\n');
    if (headEnd === -1) return;
    const length = /\r\ncontent-length: *(\d+)/i.exec(this.#received.slice(0, headEnd))?.[1];
    if (length === undefined) {
      this.#onError?.(new Error(`An answer without a length: ${this.#received}`));
      return;
    }
    if (this.#received.length < headEnd + 4 + Number(length)) return;
    const reply = this.#received;
    this.#received = '';
    this.#onReply?.(reply);
  }
}

export interface PrepareOptions {
  /** Of the servers, which get their turns. */
  readonly ports: readonly number[];
  readonly channel: string;
  readonly message: MessageKind;
  /** Of all the posts that follow. */
  readonly broadcasts: number;
}

/**
 * Closed loop: so many broadcasts at any time that are not answered yet, or have not reached every subscriber yet. The
 * answer alone would not do: a server may give it before it delivers, and then more would be under way than it says.
 * Open loop: so many a second, whatever becomes of them.
 */
export type Pace = { readonly inFlight: number } | { readonly perSecond: number };

export interface PostOptions {
  readonly broadcasts: number;
  readonly pace: Pace;
  /** How many subscribers each must be handed to. */
  readonly subscribers: number;
}

let requests: Buffer[] = [];
let expectedReply = '';
let ports: readonly number[] = [];
let clients = 0;
const idle: Client[] = [];
const arrivals = new Arrivals();
let posts = 0;

/** A client that has nothing to do; new ones take the servers in turn. */
function takeClient(): Client {
  let client = idle.pop();
  // Servers hang up on who asks nothing for some seconds.
  while (client?.isOpen === false) client = idle.pop();
  return client ?? new Client(ports[clients++ % ports.length] ?? 0);
}

/** Posts the next request; resolves when its answer is as expected. */
async function postNext(client: Client): Promise<void> {
  const request = requests.pop();
  if (request === undefined) throw new Error('More posts than prepared');
  posts++;
  const reply = await client.post(request);
  if (!reply.startsWith('HTTP/1.1 200 ') || !reply.endsWith(expectedReply)) {
    throw new Error(`Expected 200 and ${expectedReply}, got: ${reply}`);
  }
}

async function postInFlight(inFlight: number, postedAtNs: Float64Array): Promise<void> {
  const before = posts;
  const loop = async () => {
    const client = takeClient();
    while (posts - before < postedAtNs.length) {
      postedAtNs[posts - before] = Number(process.hrtime.bigint());
      await Promise.all([postNext(client), arrivals.reached(posts)]);
    }
    idle.push(client);
  };
  await Promise.all(Array.from({ length: inFlight }, loop));
}

async function postAtRate(perSecond: number, postedAtNs: Float64Array): Promise<void> {
  const start = performance.now();
  const pending: Promise<void>[] = [];
  for (let i = 0; i < postedAtNs.length; i++) {
    const wait = start + (i * 1_000) / perSecond - performance.now();
    if (wait > 0) await sleep(wait);
    const client = takeClient();
    postedAtNs[i] = Number(process.hrtime.bigint());
    const post = postNext(client).then(() => void idle.push(client));
    // It is awaited below; until then its failure must not end the process.
    post.catch(() => {});
    pending.push(post);
  }
  await Promise.all(pending);
}

const calls = {
  /**
   * Signs and encodes everything to be posted, so that none of that is done while the server is measured. Resolves to
   * the port on which the subscribers announce what has arrived.
   */
  prepare(options: PrepareOptions): Promise<number> {
    const { channel, message, broadcasts } = options;
    ports = options.ports;
    requests = Array.from({ length: broadcasts }, (_, number) => {
      const token = signExpiring({ channel, message: createMessage(number, message) });
      const body = JSON.stringify({ token });
      return Buffer.from(
        [
          'POST /broadcast HTTP/1.1',
          'Host: 127.0.0.1',
          'Content-Type: application/json',
          `Content-Length: ${body.length}`,
          '',
          body,
        ].join('\r\n'),
      );
    });
    return arrivals.listen();
  },

  /** Posts; resolves, when all is answered, to when each was sent, in nanoseconds of the machine's monotonic clock. */
  async post({ broadcasts, pace, subscribers }: PostOptions): Promise<Float64Array> {
    expectedReply = JSON.stringify({ message: 'Success', deliveries: subscribers });
    const postedAtNs = new Float64Array(broadcasts);
    if ('inFlight' in pace) await postInFlight(pace.inFlight, postedAtNs);
    else await postAtRate(pace.perSecond, postedAtNs);
    return postedAtNs;
  },
};

export type PublisherCalls = typeof calls;

serveProcedures(calls);
