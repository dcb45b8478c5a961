import { connect, type Socket } from 'node:net';
import { sign } from '../support/tokens.ts';
import { type Attack, inParallel, type Target, times } from './attack.ts';
import { Tally } from './tally.ts';
import {
  authenticate,
  HANDSHAKE,
  PING_MESSAGE,
  subscribe,
  subscribedText,
  WireClient,
} from './wire.ts';

/** Where the honest receive messages of a mebibyte too. */
export const LARGE_CHANNEL = 'large';
/** The server ends a connection two seconds after it has given it up, whatever the client does. */
const ENDED_WITHIN_MS = 15_000;

/** Subscribed clients of which half never read again and half read a byte a second. */
class SlowReaders {
  readonly #port: number;
  readonly #neverReading: WireClient[] = [];
  readonly #barelyReading: Socket[] = [];
  readonly #timers: NodeJS.Timeout[] = [];

  constructor(port: number) {
    this.#port = port;
  }

  async open(count: number): Promise<void> {
    await inParallel(count, 16, (index) =>
      index % 2 === 0 ? this.#openNeverReading() : this.#openBarelyReading(),
    );
  }

  async #openNeverReading(): Promise<void> {
    const client = new WireClient(this.#port, { patienceMs: 60_000 });
    client.send(HANDSHAKE, subscribe([LARGE_CHANNEL]));
    await client.received(1);
    client.socket.pause();
    this.#neverReading.push(client);
  }

  #openBarelyReading(): Promise<void> {
    const confirmation = subscribedText(LARGE_CHANNEL);
    return new Promise((resolve, reject) => {
      const byte = Buffer.alloc(1);
      let read = '';
      const socket = connect({
        port: this.#port,
        host: '127.0.0.1',
        onread: {
          // One byte of room is the only way to make Node read no more than that.
          buffer: byte,
          callback: () => {
            if (read.endsWith(confirmation)) return false;
            read += byte.toString('latin1');
            if (!read.endsWith(confirmation)) return true;
            resolve();
            return false;
          },
        },
      });
      socket.on('error', () => {});
      socket.on('close', () => reject(new Error('a slow reader was refused')));
      socket.write(Buffer.concat([HANDSHAKE, subscribe([LARGE_CHANNEL])]));
      this.#barelyReading.push(socket);
      this.#timers.push(setInterval(() => socket.resume(), 1_000));
    });
  }

  /** Resolves to how many the server has ended, after it had the time to end all. */
  async ended(tally: Tally): Promise<void> {
    const fates = [
      ...this.#neverReading.map(async (client) => {
        // Without reading it learns of its end only when it fails to write.
        const writes = setInterval(() => client.send(PING_MESSAGE), 100);
        await within(client.gone);
        clearInterval(writes);
        tally.check(client.socket.closed, () => 'one that never reads was not ended');
      }),
      ...this.#barelyReading.map(async (socket) => {
        const writes = setInterval(() => socket.write(PING_MESSAGE), 100);
        await within(new Promise((resolve) => socket.once('close', resolve)), socket.closed);
        clearInterval(writes);
        tally.check(socket.closed, () => 'one that reads a byte a second was not ended');
      }),
    ];
    await Promise.all(fates);
    for (const timer of this.#timers) clearInterval(timer);
    for (const { socket } of this.#neverReading) socket.destroy();
    for (const socket of this.#barelyReading) socket.destroy();
  }
}

function within(happened: Promise<unknown>, already = false): Promise<unknown> {
  if (already) return Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, ENDED_WITHIN_MS);
  });
  return Promise.race([happened, late]).finally(() => clearTimeout(timer));
}

let readers: SlowReaders | undefined;

/** Opens the slow readers, for messages that somebody else sends. */
export async function openSlowReaders(target: Target): Promise<void> {
  readers = new SlowReaders(target.port);
  await readers.open(times(target, 200));
}

/** Resolves once all of them have been ended, or had the time to. */
export const slowReadersEnded: Attack = async () => {
  const tally = new Tally();
  await readers?.ended(tally);
  return tally.outcome;
};

/** A subscriber who asks for as many confirmations as a message can and reads none of them. */
export const unreadConfirmations: Attack = async (target) => {
  const tally = new Tally();
  const channels = Array.from({ length: 11_000 }, () => 'a');
  const message = authenticate(sign({ channels }));
  await inParallel(times(target, 6), 2, async () => {
    tally.handshakes += 1;
    const client = new WireClient(target.port).send(HANDSHAKE);
    await client.upgraded();
    client.socket.pause();
    const writes = setInterval(() => client.send(message), 10);
    await within(client.gone);
    clearInterval(writes);
    tally.check(client.socket.closed, () => 'unread confirmations: not ended');
    client.socket.destroy();
  });
  return tally.outcome;
};
