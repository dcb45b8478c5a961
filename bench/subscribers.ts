// A process full of websocket subscribers that only count: they must cost less than what they measure.
import { connect, type Socket } from 'node:net';
import { announceArrivals } from './arrivals.ts';
import { type Dialect, type DialectName, dialects } from './dialects.ts';
import { clientFrame, opcodes, readFrames } from './frames.ts';
import { answer } from './rpc.ts';
import { type Deliveries, Tally } from './tally.ts';
import { sign } from './token.ts';

/** Well below the backlog of a listening socket. */
const HANDSHAKES_IN_FLIGHT = 100;

const PONG = clientFrame(opcodes.pong, Buffer.alloc(0));
/** Engine.IO's own heartbeat is a text message of a single character, as no other is, answered in kind. */
const ENGINE_PONG = clientFrame(opcodes.text, Buffer.from('3'));

// Every read is dealt with before the next, so all sockets share one buffer.
const readBuffer = Buffer.allocUnsafe(65_536);

/** Replaced for each thing that is counted. */
let tally = new Tally(0, 0);

/** One websocket: connecting → upgraded → subscribed. */
class Subscriber {
  /** Broadcasts of the current tally. */
  received = 0;
  readonly #socket: Socket;
  readonly #dialect: Dialect;
  readonly #token: string;
  readonly #onSubscribed: () => void;
  #isUpgraded = false;
  #isSubscribed = false;
  /** The beginning of a frame, or of the answer to the upgrade, whose end has not come yet. */
  #rest: Buffer | undefined;

  constructor(port: number, dialect: Dialect, token: string, onSubscribed: () => void) {
    this.#dialect = dialect;
    this.#token = token;
    this.#onSubscribed = onSubscribed;
    this.#socket = connect({
      port,
      host: '127.0.0.1',
      noDelay: true,
      onread: {
        buffer: readBuffer,
        callback: (length) => {
          this.#read(readBuffer.subarray(0, length));
          return true;
        },
      },
    });
    this.#socket.on('error', (error) => tally.fail(error));
    this.#socket.on('close', () => tally.fail(new Error('A subscriber lost its connection')));
    this.#socket.write(
      [
        `GET ${dialect.path} HTTP/1.1`,
        `Host: 127.0.0.1:${port}`,
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
        '\r\n',
      ].join('\r\n'),
    );
  }

  #read(chunk: Buffer): void {
    tally.countRead();
    const bytes = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk]);
    const taken = this.#isUpgraded ? readFrames(bytes, this.#onFrame) : this.#readUpgrade(bytes);
    // A copy, for the next read overwrites the buffer.
    this.#rest = taken === bytes.length ? undefined : Buffer.from(bytes.subarray(taken));
  }

  #readUpgrade(bytes: Buffer): number {
    const end = bytes.indexOf('\r\n\r\n');
    if (end === -1) return 0;
    const head = bytes.toString('latin1', 0, end);
    if (!head.startsWith('HTTP/1.1 101 ')) tally.fail(new Error(`No upgrade: ${head}`));
    this.#isUpgraded = true;
    const text = Buffer.from(this.#dialect.authenticate(this.#token));
    this.#socket.write(clientFrame(opcodes.text, text));
    return end + 4 + readFrames(bytes.subarray(end + 4), this.#onFrame);
  }

  readonly #onFrame = (opcode: number, bytes: Buffer, start: number, end: number): void => {
    switch (opcode) {
      case opcodes.text:
        if (end - start === 1) this.#socket.write(ENGINE_PONG);
        else if (this.#isSubscribed) tally.countFrame(this.received++);
        else this.#awaitSubscription(bytes.toString('utf8', start, end));
        return;
      case opcodes.ping:
        this.#socket.write(PONG);
        return;
      default:
        tally.fail(new Error(`A subscriber received a frame of opcode ${opcode}`));
    }
  };

  #awaitSubscription(text: string): void {
    if (!this.#dialect.isSubscribed(text)) return;
    this.#isSubscribed = true;
    tally.countFrame(0);
    this.#onSubscribed();
  }
}

const subscribers: Subscriber[] = [];

let onArrival = () => {};

export interface ConnectOptions {
  readonly port: number;
  readonly dialect: DialectName;
  readonly count: number;
  /** The one channel of all. Without it each has a channel of its own, as users have. */
  readonly channel?: string;
}

const calls = {
  /** Adds subscribers; resolves when all are subscribed. */
  async connect({ port, dialect, count, channel }: ConnectOptions): Promise<void> {
    tally = new Tally(count, 1);
    let left = count;
    const next = () => {
      if (left === 0) return;
      left--;
      const token = sign({ channels: [channel ?? `user:${subscribers.length}`] });
      subscribers.push(new Subscriber(port, dialects[dialect], token, next));
    };
    for (let i = 0; i < HANDSHAKES_IN_FLIGHT; i++) next();
    await tally.complete();
  },

  /** From now on the publisher, which listens on `port`, is told of every broadcast that has reached all. */
  async announce(port: number): Promise<void> {
    onArrival = await announceArrivals(port);
  },

  /** Starts to count afresh, `broadcasts` to every subscriber. Fails when the count before ended badly after all. */
  async expect(broadcasts: number): Promise<void> {
    await tally.complete();
    tally = new Tally(subscribers.length, broadcasts, onArrival);
    for (const subscriber of subscribers) subscriber.received = 0;
  },

  /** Resolves when all that was expected has come; rejects when something is missing or too much. */
  delivered(): Promise<Deliveries> {
    return tally.complete();
  },
};

export type SubscriberCalls = typeof calls;

answer(calls);
