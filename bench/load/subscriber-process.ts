// A process with many websocket subscribers that only count frames. They must use less CPU than the server they measure.
import { connect, type Socket } from 'node:net';
import { serveProcedures } from '../../test/support/child-rpc.ts';
import { clientFrame } from '../../test/support/client-frame.ts';
import { handshake } from '../../test/support/handshake.ts';
import { connectAckSender } from './delivery-acks.ts';
import { type Deliveries, DeliveryCounter } from './delivery-counter.ts';
import { signExpiring } from './expiring-token.ts';
import { FIN, joinRest, opcodes, readFrames, restOf } from './frame-reader.ts';
import { deflateMessage, inflateMessage } from './message-deflate.ts';
import { type ProtocolAdapter, type ProtocolName, protocolAdapters } from './protocol-adapters.ts';

/** Well below the backlog of a listening socket, 511. */
const HANDSHAKES_IN_FLIGHT = 100;

const PONG = clientFrame('', { first: FIN | opcodes.pong });
/** Engine.IO sends its heartbeat as a text message of one character, and expects this one in reply. */
const ENGINE_IO_PONG = clientFrame('3');

// All sockets share one buffer: each read is processed before the next one.
const readBuffer = Buffer.allocUnsafe(65_536);

/** Replaced at the start of each count. */
let counter = new DeliveryCounter(0, 0);

/** The extension that browsers offer (RFC 7692 §7). */
const DEFLATE_OFFER = 'permessage-deflate; client_max_window_bits';

interface SubscriberOptions {
  readonly port: number;
  /** The request of the handshake. */
  readonly request: string;
  readonly adapter: ProtocolAdapter;
  readonly token: string;
  /** Offers permessage-deflate, fails unless the server accepts it, and compresses what it sends. */
  readonly deflate: boolean;
  readonly onSubscribed: () => void;
}

/** One websocket: connecting → upgraded → subscribed. */
class CountingSubscriber {
  /** Broadcasts during the current count. */
  received = 0;
  readonly #socket: Socket;
  readonly #options: SubscriberOptions;
  #isUpgraded = false;
  #isSubscribed = false;
  /** The start of a frame, or of the answer to the handshake, that is not complete yet. */
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
    this.#socket.on('error', (error) => counter.fail(error));
    this.#socket.on('close', () => counter.fail(new Error('A subscriber lost its connection')));
    this.#socket.write(request);
  }

  #read(chunk: Buffer): void {
    counter.countRead(chunk.length);
    const bytes = joinRest(this.#rest, chunk);
    const taken = this.#isUpgraded ? readFrames(bytes, this.#onFrame) : this.#readUpgrade(bytes);
    this.#rest = restOf(bytes, taken);
  }

  #readUpgrade(bytes: Buffer): number {
    const end = bytes.indexOf('\r\n\r\n');
    if (end === -1) return 0;
    const head = bytes.toString('latin1', 0, end);
    if (!head.startsWith('HTTP/1.1 101 ')) counter.fail(new Error(`The handshake failed: ${head}`));
    const { adapter, token, deflate } = this.#options;
    if (deflate !== /\r\nSec-WebSocket-Extensions: *permessage-deflate/i.test(head)) {
      counter.fail(new Error(`The server did not negotiate compression as expected: ${head}`));
    }
    this.#isUpgraded = true;
    const text = Buffer.from(adapter.authenticate(token));
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
        if (end - start === 1) this.#socket.write(ENGINE_IO_PONG);
        else if (this.#isSubscribed) counter.countFrame(this.received++);
        else this.#awaitSubscription(bytes.subarray(start, end));
        return;
      case opcodes.compressedText:
        if (!this.#options.deflate)
          counter.fail(new Error('A frame is compressed without permessage-deflate'));
        else if (this.#isSubscribed) counter.countFrame(this.received++);
        // The first message cannot refer to an earlier one.
        else this.#awaitSubscription(inflateMessage(bytes.subarray(start, end)));
        return;
      case opcodes.ping:
        this.#socket.write(PONG);
        return;
      default:
        counter.fail(new Error(`A subscriber received a frame of opcode ${opcode}`));
    }
  };

  #awaitSubscription(payload: Buffer): void {
    const { adapter, onSubscribed } = this.#options;
    if (!adapter.isSubscribed(payload.toString())) return;
    this.#isSubscribed = true;
    counter.countFrame(0);
    onSubscribed();
  }
}

function encodeHandshake({ path }: ProtocolAdapter, deflate: boolean): string {
  const headers = { 'Sec-WebSocket-Extensions': deflate ? DEFLATE_OFFER : undefined };
  return handshake({ path, headers });
}

const subscribers: CountingSubscriber[] = [];

/** Called whenever every subscriber has one more broadcast. */
let onCompleted = () => {};

export interface ConnectOptions {
  /** The ports of the servers, which get equal shares. */
  readonly ports: readonly number[];
  readonly protocol: ProtocolName;
  readonly count: number;
  /** The channel of all. Each subscriber gets a channel of its own unless given. */
  readonly channel?: string;
  /** Whether they negotiate permessage-deflate. They do not unless given. */
  readonly deflate?: boolean;
}

const procedures = {
  /** Adds subscribers. Resolves when all are subscribed. */
  async connect(options: ConnectOptions): Promise<void> {
    const { ports, count, channel, deflate = false } = options;
    const adapter = protocolAdapters[options.protocol];
    // Encoded once, not for each subscriber: that time would be measured.
    const request = encodeHandshake(adapter, deflate);
    counter = new DeliveryCounter(count, 1);
    let left = count;
    const connectNext = () => {
      if (left === 0) return;
      left--;
      const number = subscribers.length;
      const port = ports[number % ports.length] ?? 0;
      const token = signExpiring({ channels: [channel ?? `user:${number}`] });
      subscribers.push(
        new CountingSubscriber({
          port,
          request,
          adapter,
          token,
          deflate,
          onSubscribed: connectNext,
        }),
      );
    };
    for (let i = 0; i < HANDSHAKES_IN_FLIGHT; i++) connectNext();
    await counter.complete();
  },

  /** From now on, every broadcast that all subscribers have is acknowledged to the publisher, which listens on `port`. */
  async sendAcksTo(port: number): Promise<void> {
    onCompleted = await connectAckSender(port);
  },

  /** Starts a new count: `broadcasts` to every subscriber. Rejects when the last count failed, also after its end. */
  async expect(broadcasts: number): Promise<void> {
    await counter.complete();
    counter = new DeliveryCounter(subscribers.length, broadcasts, onCompleted);
    for (const subscriber of subscribers) subscriber.received = 0;
  },

  /** Resolves when all expected broadcasts have arrived. Rejects when one is missing or came twice. */
  untilDelivered(): Promise<Deliveries> {
    return counter.complete();
  },
};

export type SubscriberProcedures = typeof procedures;

serveProcedures(procedures);
