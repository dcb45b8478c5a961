// A process with thousands of websockets that count what they receive, and with which code they are closed. It shares
// the machine with the server, so a connection must cost it little.
import { connect, type Socket } from 'node:net';
import { serveProcedures } from '../../test/support/child-rpc.ts';
import { clientFrame } from '../../test/support/client-frame.ts';
import { handshake } from '../../test/support/handshake.ts';
import { type Deliveries, DeliveryCounter } from './delivery-counter.ts';
import { signExpiring } from './expiring-token.ts';
import { FIN, joinRest, opcodes, readFrames, restOf } from './frame-reader.ts';
import { protocolAdapters } from './protocol-adapters.ts';

const adapter = protocolAdapters.bifrost;
const REQUEST = handshake({ path: adapter.path });
const PONG = clientFrame('', { first: FIN | opcodes.pong });
/** When no connection was closed for this long during a drain, the other ones are forgotten. */
const DRAIN_TIMEOUT_MS = 10_000;

// All sockets share one buffer: each read is processed before the next one.
const readBuffer = Buffer.allocUnsafe(65_536);

export interface ConnectScaleOptions {
  readonly port: number;
  readonly count: number;
  /** The addresses to connect from, in turn. */
  readonly addresses: readonly string[];
  /** The channel of all. Each client has one of its own besides. */
  readonly channel: string;
  /** The own channel of the first client is `user:` and this number. */
  readonly firstUser: number;
  readonly inFlight: number;
}

/** How the connections ended. */
export interface Closings {
  /** How many were closed with each code; 0 stands for an end without a close frame. */
  readonly codes: ReadonlyMap<number, number>;
  /** How many were closed in each second of the machine's monotonic clock. */
  readonly perSecond: ReadonlyMap<number, number>;
  /** When the last one was closed, in nanoseconds of that clock. */
  readonly lastAtNs: number;
}

/** Replaced at the start of each count. */
let counter = new DeliveryCounter(0, 0);
const clients: ScaleClient[] = [];
/** Defined while the server may close connections. */
let drain: Drain | undefined;

/** Counts the closings until every client is closed. */
class Drain {
  readonly codes = new Map<number, number>();
  readonly perSecond = new Map<number, number>();
  lastAtNs = 0;
  #left = clients.length;
  #finish = () => {};

  add(code: number): void {
    this.lastAtNs = Number(process.hrtime.bigint());
    const second = Math.floor(this.lastAtNs / 1e9);
    this.codes.set(code, (this.codes.get(code) ?? 0) + 1);
    this.perSecond.set(second, (this.perSecond.get(second) ?? 0) + 1);
    this.#left--;
    if (this.#left === 0) this.#finish();
  }

  /** Resolves when all are closed. Rejects when some are not and no more are being closed. */
  async complete(): Promise<Closings> {
    if (this.#left > 0) await this.#wait();
    if (this.#left > 0) throw new Error(`${this.#left} connections were not closed by the drain`);
    const { codes, perSecond, lastAtNs } = this;
    return { codes, perSecond, lastAtNs };
  }

  #wait(): Promise<void> {
    return new Promise((resolve) => {
      let seen = this.#left;
      const timer = setInterval(() => {
        if (this.#left === seen) this.#finish();
        seen = this.#left;
      }, DRAIN_TIMEOUT_MS);
      this.#finish = () => {
        clearInterval(timer);
        resolve();
      };
    });
  }
}

/** Whose bytes are being read: a listener for each socket would cost memory. */
let reading: ScaleClient;

function onFrame(opcode: number, bytes: Buffer, start: number, end: number): void {
  reading.receive(opcode, bytes, start, end);
}

/** How many channels its token names. */
const CHANNELS = 2;

/** One websocket: connecting → upgraded → subscribed → closed. */
class ScaleClient {
  /** Broadcasts during the current count. */
  received = 0;
  readonly #socket: Socket;
  #token: string | undefined;
  #confirmations = 0;
  #closeCode = 0;
  /** The start of a frame, or of the answer to the handshake, that is not complete yet. */
  #rest: Buffer | undefined;
  readonly #onSubscribed: () => void;

  constructor(port: number, localAddress: string, token: string, onSubscribed: () => void) {
    this.#token = token;
    this.#onSubscribed = onSubscribed;
    this.#socket = connect({
      port,
      host: '127.0.0.1',
      localAddress,
      noDelay: true,
      onread: {
        buffer: readBuffer,
        callback: (length) => {
          reading = this;
          this.#read(readBuffer.subarray(0, length));
          return true;
        },
      },
    });
    this.#socket.on('error', (error) => {
      if (drain === undefined) counter.fail(error);
    });
    this.#socket.on('close', () => {
      if (drain === undefined) counter.fail(new Error('A client lost its connection'));
      else drain.add(this.#closeCode);
    });
    this.#socket.write(REQUEST);
  }

  #read(chunk: Buffer): void {
    const bytes = joinRest(this.#rest, chunk);
    const taken = this.#token === undefined ? readFrames(bytes, onFrame) : this.#readUpgrade(bytes);
    this.#rest = restOf(bytes, taken);
  }

  #readUpgrade(bytes: Buffer): number {
    const end = bytes.indexOf('\r\n\r\n');
    if (end === -1) return 0;
    const head = bytes.toString('latin1', 0, end);
    if (!head.startsWith('HTTP/1.1 101 ')) counter.fail(new Error(`The handshake failed: ${head}`));
    this.#socket.write(clientFrame(adapter.authenticate(this.#token ?? '')));
    this.#token = undefined;
    return end + 4 + readFrames(bytes.subarray(end + 4), onFrame);
  }

  receive(opcode: number, bytes: Buffer, start: number, end: number): void {
    switch (opcode) {
      case opcodes.text:
        if (this.#confirmations === CHANNELS) counter.countFrame(this.received++);
        else this.#confirm(bytes.toString('utf8', start, end));
        return;
      case opcodes.ping:
        this.#socket.write(PONG);
        return;
      case opcodes.close:
        this.#closeCode = end - start >= 2 ? bytes.readUInt16BE(start) : 0;
        // Its code and reason are returned (RFC 6455 §5.5.1).
        this.#socket.end(clientFrame(bytes.subarray(start, end), { first: FIN | opcodes.close }));
        return;
      default:
        counter.fail(new Error(`A client received a frame of opcode ${opcode}`));
    }
  }

  #confirm(text: string): void {
    if (!adapter.isSubscribed(text)) counter.fail(new Error(`Not a confirmation: ${text}`));
    this.#confirmations++;
    if (this.#confirmations < CHANNELS) return;
    counter.countFrame(0);
    this.#onSubscribed();
  }
}

const procedures = {
  /** Adds clients. Resolves when all are subscribed. */
  async connect(options: ConnectScaleOptions): Promise<void> {
    const { port, count, addresses, channel, firstUser, inFlight } = options;
    counter = new DeliveryCounter(count, 1);
    let next = 0;
    const connectNext = () => {
      if (next === count) return;
      const address = addresses[next % addresses.length] ?? '';
      const token = signExpiring({ channels: [channel, `user:${firstUser + next}`] });
      next++;
      clients.push(new ScaleClient(port, address, token, connectNext));
    };
    for (let i = 0; i < inFlight; i++) connectNext();
    await counter.complete();
  },

  /** Starts a new count: `broadcasts` to every client. Rejects when the last count failed, also after its end. */
  async expect(broadcasts: number): Promise<void> {
    await counter.complete();
    counter = new DeliveryCounter(clients.length, broadcasts);
    for (const client of clients) client.received = 0;
  },

  /** Resolves when all expected broadcasts have arrived. Rejects when one is missing or came twice. */
  untilDelivered(): Promise<Deliveries> {
    return counter.complete();
  },

  /** From now on the server may close connections. Rejects when something was wrong before. */
  async expectDrain(): Promise<void> {
    await counter.complete();
    drain = new Drain();
  },

  /** Resolves when every connection has been closed. */
  untilDrained(): Promise<Closings> {
    if (drain === undefined) throw new Error('No drain is expected');
    return drain.complete();
  },
};

export type ScaleProcedures = typeof procedures;

serveProcedures(procedures);
