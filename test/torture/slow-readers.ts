import { connect, type Socket } from 'node:net';
import { sign } from '../support/tokens.ts';
import { type Attack, inParallel, type Target, times } from './attack.ts';
import {
  authenticate,
  HANDSHAKE,
  PING_MESSAGE,
  subscribe,
  subscribedText,
} from './client-messages.ts';
import { ResultCollector } from './result-collector.ts';
import { WireClient } from './wire-client.ts';
import { writeUntilClosed } from './write-until-closed.ts';

/** A channel of messages of a mebibyte. The control group subscribes to it too. */
export const LARGE_CHANNEL = 'large';
const WRITE_INTERVAL_MS = 100;
const READ_INTERVAL_MS = 1_000;

interface SlowReader {
  readonly what: string;
  readonly socket: Socket;
  readonly closed: Promise<unknown>;
}

async function openNeverReading(port: number): Promise<SlowReader> {
  const client = new WireClient(port, { idleTimeoutMs: 60_000 });
  client.send(HANDSHAKE, subscribe([LARGE_CHANNEL]));
  await client.received(1);
  client.socket.pause();
  return { what: 'one that never reads', socket: client.socket, closed: client.disconnected };
}

/** Reads a byte a second once its subscription is confirmed. Rejects when the server closes the connection before. */
function openBarelyReading(port: number): Promise<SlowReader> {
  const confirmation = subscribedText(LARGE_CHANNEL);
  return new Promise((resolve, reject) => {
    const byte = Buffer.alloc(1);
    let read = '';
    const socket = connect({
      port,
      host: '127.0.0.1',
      onread: {
        // A buffer of one byte is the only way to make Node read no more than that.
        buffer: byte,
        callback: () => {
          if (read.endsWith(confirmation)) return false;
          read += byte.toString('latin1');
          if (!read.endsWith(confirmation)) return true;
          resolve({ what: 'one that reads a byte a second', socket, closed });
          return false;
        },
      },
    });
    const reading = setInterval(() => socket.resume(), READ_INTERVAL_MS);
    const closed = new Promise<void>((resolveClosed) => {
      socket.on('close', () => {
        clearInterval(reading);
        resolveClosed();
        reject(new Error('The server refused a slow reader'));
      });
    });
    socket.on('error', () => {});
    socket.write(Buffer.concat([HANDSHAKE, subscribe([LARGE_CHANNEL])]));
  });
}

const readers: SlowReader[] = [];

/** Opens subscribers that do not read messages, which somebody else publishes. */
export async function openSlowReaders(target: Target): Promise<void> {
  await inParallel(times(target, 200), 16, async (index) => {
    const open = index % 2 === 0 ? openNeverReading : openBarelyReading;
    readers.push(await open(target.port));
  });
}

/** The server must have closed the connections of all slow readers that are open. */
export const slowReadersClosed: Attack = async () => {
  const results = new ResultCollector();
  await Promise.all(
    readers.splice(0).map(async ({ what, socket, closed }) => {
      await writeUntilClosed(socket, PING_MESSAGE, WRITE_INTERVAL_MS, closed);
      results.check(socket.closed, () => `${what} was not closed`);
      socket.destroy();
    }),
  );
  return results.outcome;
};

/** A subscriber that asks for as many confirmations as one message can and reads none of them. */
export const unreadConfirmations: Attack = async (target) => {
  const results = new ResultCollector();
  const channels = Array.from({ length: 11_000 }, () => 'a');
  const message = authenticate(sign({ channels }));
  await inParallel(times(target, 6), 2, async () => {
    results.handshakes += 1;
    const client = new WireClient(target.port).send(HANDSHAKE);
    await client.upgraded();
    client.socket.pause();
    await writeUntilClosed(client.socket, message, 10, client.disconnected);
    results.check(client.socket.closed, () => 'unread confirmations: not closed');
    client.socket.destroy();
  });
  return results.outcome;
};
