import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { sign } from '../support/tokens.ts';
import { type Attack, inParallel, Random, seedFor, type Target, times } from './attack.ts';
import { describeTalk, isError, post, talkHttp } from './http-wire.ts';
import { Tally } from './tally.ts';

/** What the server allows. */
export const MAX_BODY_BYTES = 1_572_864;
const HEAD = 'POST /broadcast HTTP/1.1\r\nHost: localhost\r\n';
const CHUNKED = `${HEAD}Transfer-Encoding: chunked\r\n\r\n`;
const NOT_JSON = 'Body must be a JSON object';

/** Sends a piece again and again, as fast as it is taken. */
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
/** Many enough to be dear with an object for each chunk, few enough for the budget of unfinished bodies. */
const SMALL_CHUNK_BODIES = 32;
const SMALL_CHUNK_BYTES = 70;

/** Bodies of a million chunks, and bodies of chunks that are just not too small, all unfinished at once. */
export const tinyChunks: Attack = async (target) => {
  const tally = new Tally();
  const singles = Buffer.from('1\r\nx\r\n'.repeat(SINGLE_BYTES_AT_ONCE));
  await inParallel(times(target, 400), 20, async () => {
    const feed = (socket: Socket) => repeat(socket, singles, SINGLE_BYTES / SINGLE_BYTES_AT_ONCE);
    const talk = await talkHttp(target.port, CHUNKED, { feed });
    const kept = isError(talk.replies[0], 413, 'Body has too many chunks');
    tally.check(kept, () => `a chunk a byte: ${describeTalk(talk)}`);
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
      const talk = await talkHttp(target.port, CHUNKED, { feed, replies: 1 });
      tally.check(isError(talk.replies[0], 400, NOT_JSON), () => `chunks: ${describeTalk(talk)}`);
    });
  }
  return tally.outcome;
};

const STALLED = 400;
const BETWEEN_BROADCASTS_MS = 10;

/** Hundreds of bodies that never end, begun anew as they are refused. Small broadcasts go on meanwhile. */
export const unfinishedBodies: Attack = async (target) => {
  const tally = new Tally();
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
      const talk = await talkHttp(target.port, head, { feed, replies: 1 });
      const kept = isOver || isError(talk.replies[0], 503, 'Too many requests');
      tally.check(kept, () => `a stalled body: ${describeTalk(talk)}`);
    }
  };
  const stalled = Promise.all(Array.from({ length: STALLED }, stall));

  const deadline = performance.now() + (target.quick ? 3_000 : 10_000);
  for (let n = 0; performance.now() < deadline; n += 1) {
    await broadcast(target, tally, `${n} ${random.word(random.below(2_000))}`);
    await delay(BETWEEN_BROADCASTS_MS);
  }
  isOver = true;
  for (const socket of sockets) socket.destroy();
  await stalled;
  return tally.outcome;
};

/** Comes in two parts, so that it is an unfinished body for a while. */
async function broadcast({ port }: Target, tally: Tally, text: string): Promise<void> {
  const body = JSON.stringify({ token: sign({ channel: 'nobody', message: { text } }) });
  const request = post(body);
  tally.message(body);
  const cut = request.length - (body.length >> 1);
  const feed = (socket: Socket) =>
    socket.once('connect', () => setImmediate(() => socket.write(request.subarray(cut))));
  const talk = await talkHttp(port, request.subarray(0, cut), { feed, replies: 1 });
  tally.check(talk.replies[0]?.status === 200, () => `a small broadcast: ${describeTalk(talk)}`);
}

const KEPT_OPEN = 200;

/** Connections that are kept open behind a body that was refused: nothing of it is kept. */
export const finishedBodies: Attack = async (target) => {
  const tally = new Tally();
  const body = Buffer.alloc(MAX_BODY_BYTES, 'x');
  const fields = Object.fromEntries(Array.from({ length: 1_000 }, (_, n) => [`x${n}`, 'y']));
  const sockets: Socket[] = [];
  let unanswered = KEPT_OPEN;
  const finish = () => {
    unanswered -= 1;
    if (unanswered === 0) for (const socket of sockets) socket.destroy();
  };
  await inParallel(KEPT_OPEN, KEPT_OPEN, async (index) => {
    // One after another: this is not about unfinished ones.
    await delay(index * 5);
    const feed = (socket: Socket) => {
      sockets.push(socket);
      socket.once('data', finish);
    };
    const talk = await talkHttp(target.port, post(body, { fields }), { feed });
    tally.check(isError(talk.replies[0], 400, NOT_JSON), () => describeTalk(talk));
  });
  return tally.outcome;
};
