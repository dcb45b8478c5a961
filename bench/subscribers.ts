// A process full of websocket subscribers that only count: they must cost less than what they measure.
import { connect, type Socket } from 'node:net';
import { serveProcedures } from '../test/support/child-rpc.ts';
import { clientFrame } from '../test/support/client-frame.ts';
import { handshake } from '../test/support/handshake.ts';
import { announceArrivals } from './arrivals.ts';
import { deflateMessage, inflateMessage } from './deflate.ts';
import { type Dialect, type DialectName, dialects } from './dialects.ts';
import { FIN, opcodes, readFrames } from './frames.ts';
import { type Deliveries, Tally } from './tally.ts';
import { signExpiring } from './token.ts';

/** Well below the backlog of a listening socket. */
const HANDSHAKES_IN_FLIGHT = 100;

const PONG = clientFrame('', { first: FIN | opcodes.pong });
/** Engine.IO's own heartbeat is a text message of a single character, as no other is, answered in kind. */
const ENGINE_PONG = clientFrame('3');

// Every read is dealt with before the next, so all sockets share one buffer.
const readBuffer = Buffer.allocUnsafe(65_536);

/** Replaced for each thing that is counted. */
let tally = new Tally(0, 0);

/** What browsers offer (RFC 7692 §7). */
const OFFER = 'permessage-deflate; client_max_window_bits';

/** What all subscribers of a call have in common. */
interface SubscriberOptions {
  readonly port: number;
  /** The handshake. */
  readonly request: string;
  readonly dialect: Dialect;
  readonly token: string;
  /** Offers to compress, insists that the server agrees, and compresses what it sends itself. */
  readonly deflate: boolean;
  readonly onSubscribed: () => void;
}

/** One websocket: connecting → upgraded → subscribed. */
class Subscriber {
  /** Broadcasts of the current tally. */
  received = 0;
  readonly #socket: Socket;
  readonly #options: SubscriberOptions;
  #isUpgraded = false;
  #isSubscribed = false;
  /** The beginning of a frame, or of the answer to the upgrade, whose end has not come yet. */
  #rest: Buffer | undefined;

  constructor(options: SubscriberOptions) {
    const { port, request } = options;
    this.#options = options;
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
    this.#socket.write(request);
  }

  #read(chunk: Buffer): void {
    tally.countRead(chunk.length);
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
    const { dialect, token, deflate } = this.#options;
    if (deflate !== /\r\nSec-WebSocket-Extensions: *permessage-deflate/i.test(head)) {
      tally.fail(new Error(`Not the compression that was asked for: ${head}`));
    }
    this.#isUpgraded = true;
    const text = Buffer.from(dialect.authenticate(token));
    this.#socket.write(
      deflate
        ? clientFrame(deflateMessage(text), { first: FIN | opcodes.compressedText })
        : clientFrame(text),
    );
    return end + 4 + readFrames(bytes.subarray(end + 4), this.#onFrame);
  }

  readonly #onFrame = (opcode: number, bytes: Buffer, start: number, end: number): void => {
    switch (opcode) {
      case opcodes.text:
        if (end - start === 1) this.#socket.write(ENGINE_PONG);
        else if (this.#isSubscribed) tally.countFrame(this.received++);
        else this.#awaitSubscription(bytes.subarray(start, end));
        return;
      case opcodes.compressedText:
        if (!this.#options.deflate)
          tally.fail(new Error('A compressed frame that nobody asked for'));
        else if (this.#isSubscribed) tally.countFrame(this.received++);
        // The first message of all needs no earlier one to be understood.
        else this.#awaitSubscription(inflateMessage(bytes.subarray(start, end)));
        return;
      case opcodes.ping:
        this.#socket.write(PONG);
        return;
      default:
        tally.fail(new Error(`A subscriber received a frame of opcode ${opcode}`));
    }
  };

  #awaitSubscription(payload: Buffer): void {
    const { dialect, onSubscribed } = this.#options;
    if (!dialect.isSubscribed(payload.toString())) return;
    this.#isSubscribed = true;
    tally.countFrame(0);
    onSubscribed();
  }
}

function upgradeRequest(port: number, { path }: Dialect, deflate: boolean): string {
  const headers = {
    Host: `127.0.0.1:${port}`,
    'Sec-WebSocket-Extensions': deflate ? OFFER : undefined,
  };
  return handshake({ path, headers });
}

const subscribers: Subscriber[] = [];

let onArrival = () => {};

export interface ConnectOptions {
  /** Of the servers, which get equal shares. */
  readonly ports: readonly number[];
  readonly dialect: DialectName;
  readonly count: number;
  /** The one channel of all. Without it each has a channel of its own, as users have. */
  readonly channel?: string;
  /** Whether they compress. */
  readonly deflate?: boolean;
}

const calls = {
  /** Adds subscribers; resolves when all are subscribed. */
  async connect(options: ConnectOptions): Promise<void> {
    const { ports, count, channel, deflate = false } = options;
    const dialect = dialects[options.dialect];
    // Made here, once for all: the subscribers must cost less than what they measure.
    const servers = ports.map((port) => ({
      port,
      request: upgradeRequest(port, dialect, deflate),
    }));
    tally = new Tally(count, 1);
    let left = count;
    const next = () => {
      if (left === 0) return;
      left--;
      const number = subscribers.length;
      const { port, request } = servers[number % servers.length] ?? { port: 0, request: '' };
      const token = signExpiring({ channels: [channel ?? `user:${number}`] });
      subscribers.push(
        new Subscriber({ port, request, dialect, token, deflate, onSubscribed: next }),
      );
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

serveProcedures(calls);
