import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { Random } from '../support/random.ts';
import { sign } from '../support/tokens.ts';
import { type Attack, inParallel, seedFor, type Target, times } from './attack.ts';
import { describeExchange, isError, post, sendHttp } from './http-client.ts';
import { ResultCollector } from './result-collector.ts';

/** A setting of the server. */
export const MAX_BODY_BYTES = 1_572_864;
const HEAD = 'POST /broadcast HTTP/1.1\r\nHost: localhost\r\n';
const CHUNKED = `${HEAD}Transfer-Encoding: chunked\r\n\r\n`;
const NOT_JSON = 'Body must be a JSON object';

/** Writes a piece `count` times, each when the socket accepts it. */
function repeat(socket: Socket, piece: Buffer, count: number, done = () => {}): void {
  let left = count;
  const send = () => {
    while (left > 0 && !socket.destroyed) {
      left -= 1;
      if (!socket.write(piece)) {
        socket.once('drain', send);
        return;
      }
    }
    done();
  };
  send();
}

const SINGLE_BYTES = 1_020_000;
const SINGLE_BYTES_AT_ONCE = 10_000;
/** Enough to be costly if the server kept an object for each chunk, and few enough for its budget of unfinished bodies. */
const SMALL_CHUNK_BODIES = 32;
const SMALL_CHUNK_BYTES = 70;

/** Bodies of a million chunks, and many unfinished bodies of chunks that are barely large enough to be accepted. */
export const tinyChunks: Attack = async (target) => {
  const results = new ResultCollector();
  const singles = Buffer.from('1\r\nx\r\n'.repeat(SINGLE_BYTES_AT_ONCE));
  await inParallel(times(target, 400), 20, async () => {
    const feed = (socket: Socket) => repeat(socket, singles, SINGLE_BYTES / SINGLE_BYTES_AT_ONCE);
    const exchange = await sendHttp(target.port, CHUNKED, { feed });
    const conforms = isError(exchange.replies[0], 413, 'Body has too many chunks');
    results.check(conforms, () => `a chunk a byte: ${describeExchange(exchange)}`);
  });

  const small = `${SMALL_CHUNK_BYTES.toString(16)}\r\n${'x'.repeat(SMALL_CHUNK_BYTES)}\r\n`;
  const count = Math.floor(MAX_BODY_BYTES / SMALL_CHUNK_BYTES / 100);
  for (let round = 0; round < times(target, 60); round += 1) {
    let unsent = SMALL_CHUNK_BODIES;
    const sockets: Socket[] = [];
    const finish = () => {
      unsent -= 1;
      if (unsent === 0) for (const socket of sockets) socket.write('0\r\n\r\n');
    };
    const feed = (socket: Socket) => {
      sockets.push(socket);
      repeat(socket, Buffer.from(small.repeat(100)), count, finish);
    };
    await inParallel(SMALL_CHUNK_BODIES, SMALL_CHUNK_BODIES, async () => {
      const exchange = await sendHttp(target.port, CHUNKED, { feed, replies: 1 });
      results.check(
        isError(exchange.replies[0], 400, NOT_JSON),
        () => `chunks: ${describeExchange(exchange)}`,
      );
    });
  }
  return results.outcome;
};

const STALLED = 400;
const BETWEEN_BROADCASTS_MS = 10;

/** Hundreds of bodies that never end, sent again when they are refused. Small broadcasts must get through meanwhile. */
export const unfinishedBodies: Attack = async (target) => {
  const results = new ResultCollector();
  const random = new Random(seedFor(target, 'stalled'));
  const bytes = Buffer.alloc(MAX_BODY_BYTES, 'x');
  const sockets = new Set<Socket>();
  let isOver = false;
  const stall = async () => {
    while (!isOver) {
      const length = MAX_BODY_BYTES - 1 - random.below(2) * random.below(1_000_000);
      const feed = (socket: Socket) => {
        sockets.add(socket);
        socket.once('close', () => sockets.delete(socket));
        socket.write(bytes.subarray(0, length));
      };
      const head = `${HEAD}Content-Length: ${MAX_BODY_BYTES}\r\n\r\n`;
      const exchange = await sendHttp(target.port, head, { feed, replies: 1 });
      const conforms = isOver || isError(exchange.replies[0], 503, 'Too many requests');
      results.check(conforms, () => `a stalled body: ${describeExchange(exchange)}`);
    }
  };
  const stalled = Promise.all(Array.from({ length: STALLED }, stall));

  const deadline = performance.now() + (target.quick ? 3_000 : 10_000);
  for (let n = 0; performance.now() < deadline; n += 1) {
    await broadcast(target, results, `${n} ${random.word(random.below(2_000))}`);
    await delay(BETWEEN_BROADCASTS_MS);
  }
  isOver = true;
  for (const socket of sockets) socket.destroy();
  await stalled;
  return results.outcome;
};

/** Sent in two parts, so that it is an unfinished body for a while. */
async function broadcast({ port }: Target, results: ResultCollector, text: string): Promise<void> {
  const body = JSON.stringify({ token: sign({ channel: 'nobody', message: { text } }) });
  const request = post(body);
  results.addMessage(body);
  const cut = request.length - (body.length >> 1);
  const feed = (socket: Socket) =>
    socket.once('connect', () => setImmediate(() => socket.write(request.subarray(cut))));
  const exchange = await sendHttp(port, request.subarray(0, cut), { feed, replies: 1 });
  results.check(
    exchange.replies[0]?.status === 200,
    () => `a small broadcast: ${describeExchange(exchange)}`,
  );
}

const KEPT_OPEN = 200;

/** Connections that stay open after their body was refused: the server must not keep the body in memory. */
export const finishedBodies: Attack = async (target) => {
  const results = new ResultCollector();
  const body = Buffer.alloc(MAX_BODY_BYTES, 'x');
  const headers = Object.fromEntries(Array.from({ length: 1_000 }, (_, n) => [`x${n}`, 'y']));
  const sockets: Socket[] = [];
  let unanswered = KEPT_OPEN;
  const finish = () => {
    unanswered -= 1;
    if (unanswered === 0) for (const socket of sockets) socket.destroy();
  };
  await inParallel(KEPT_OPEN, KEPT_OPEN, async (index) => {
    // One after another, so that few are unfinished at a time.
    await delay(index * 5);
    const feed = (socket: Socket) => {
      sockets.push(socket);
      socket.once('data', finish);
    };
    const exchange = await sendHttp(target.port, post(body, { headers }), { feed });
    results.check(isError(exchange.replies[0], 400, NOT_JSON), () => describeExchange(exchange));
  });
  return results.outcome;
};
