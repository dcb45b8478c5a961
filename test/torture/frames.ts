import { clientFrame } from '../support/client-frame.ts';
import { Random } from '../support/random.ts';
import { type Attack, inParallel, seedFor, type Target, times } from './attack.ts';
import { closeFrame, HANDSHAKE, PING_MESSAGE, PONG_TEXT } from './client-messages.ts';
import { ResultCollector } from './result-collector.ts';
import { WireClient } from './wire-client.ts';
import { writeUntilClosed } from './write-until-closed.ts';

const TEXT_START = 0x01;
const CONTINUATION = 0x00;

/** A message of a hundred thousand fragments of one byte. The server must close with 1008 long before its end. */
export const tinyFragments: Attack = async (target) => {
  const results = new ResultCollector();
  const count = times(target, 100_000);
  const flood = Buffer.concat([
    clientFrame('{', { first: TEXT_START }),
    Buffer.alloc(7 * count, clientFrame(' ', { first: CONTINUATION })),
  ]);
  for (const isWithHandshake of [true, false]) {
    results.handshakes += 1;
    const client = new WireClient(target.port).send(HANDSHAKE);
    if (!isWithHandshake) await client.upgraded();
    client.send(flood);
    await client.disconnected;
    const conforms = client.closedWith(1008) || client.closedWith(1009);
    results.check(conforms, () => `${count} fragments: ${client.describe()}`, count);
  }
  return results.outcome;
};

/** Legal inputs that look hostile: pings between fragments, every legal close frame, data after a close frame. */
export const oddButLegal: Attack = async (target) => {
  const results = new ResultCollector();
  const random = new Random(seedFor(target, 'odd but legal'));
  await inParallel(times(target, 1_000), 32, async () => {
    await pingsBetweenFragments(target, results, random);
    await legalClose(target, results, random);
    await dataAfterClose(target, results);
  });
  return results.outcome;
};

async function pingsBetweenFragments({ port }: Target, results: ResultCollector, random: Random) {
  const payload = random.word(random.below(126));
  const ping = clientFrame(payload, { first: 0x89, mask: random.bytes(4) });
  results.handshakes += 1;
  const client = new WireClient(port).send(
    HANDSHAKE,
    clientFrame('{"event"', { first: TEXT_START }),
    ping,
    clientFrame(':"pi', { first: CONTINUATION, mask: random.bytes(4) }),
    ping,
    clientFrame('', { first: CONTINUATION }),
    clientFrame('ng"}', { first: 0x80 | CONTINUATION }),
  );
  await client.received(3);
  const pong = `opcode 10 ${Buffer.from(payload).toString('hex')}`;
  const conforms = client.texts.join() === [pong, pong, PONG_TEXT].join();
  results.check(conforms, () => `pings between fragments: ${client.describe()}`);
  client.socket.destroy();
  await client.disconnected;
}

async function legalClose({ port }: Target, results: ResultCollector, random: Random) {
  const code = random.pick([1000, 1001, 1003, 1007, 1011, 1014, 3000, 3999, 4000, 4999]);
  const reason = random.word(random.below(124));
  const isEmpty = random.below(10) === 0;
  results.handshakes += 1;
  const bytes = isEmpty ? clientFrame('', { first: 0x88 }) : closeFrame(code, reason);
  const client = new WireClient(port, { answersClose: false }).send(HANDSHAKE, bytes);
  await client.disconnected;
  const conforms = isEmpty ? client.closedWith(1005) : client.closedWith(code, reason);
  results.check(conforms && client.ended, () => `close ${code} ${reason}: ${client.describe()}`);
}

async function dataAfterClose({ port }: Target, results: ResultCollector) {
  results.handshakes += 1;
  const client = new WireClient(port, { answersClose: false }).send(
    HANDSHAKE,
    closeFrame(1000),
    PING_MESSAGE,
    clientFrame('garbage'),
    clientFrame('x', { masked: false }),
    closeFrame(1001),
  );
  await client.disconnected;
  results.check(client.closedWith(1000), () => `data after close: ${client.describe()}`);
}

/** Pings at a time that the server answers in full. */
const MAX_PING_BURST = 50;

/** A websocket whose frames are counted instead of kept. */
async function openCounting(
  { port }: Target,
  results: ResultCollector,
): Promise<{ readonly client: WireClient; readonly frames: () => number }> {
  results.handshakes += 1;
  const client = new WireClient(port).send(HANDSHAKE);
  await client.upgraded();
  let frames = 0;
  client.onFrame = () => {
    frames += 1;
  };
  return { client, frames: () => frames };
}

/** Bursts of pings, each read before the next. Every ping must have its pong. */
export const pingsInChunks: Attack = async (target) => {
  const results = new ResultCollector();
  const count = times(target, 100_000);
  const chunk = Buffer.alloc(6 * MAX_PING_BURST, clientFrame('', { first: 0x89 }));
  const { client, frames } = await openCounting(target, results);
  for (let sent = 0; sent < count; sent += MAX_PING_BURST) {
    client.send(chunk);
    if (!(await client.until(() => frames() >= sent + MAX_PING_BURST))) break;
  }
  // A fence: a pong too many would arrive before its answer.
  client.send(PING_MESSAGE);
  await client.until(() => frames() > count);
  results.check(frames() === count + 1, () => `${frames()} answers to ${count + 1}`, count);
  client.socket.destroy();
  await client.disconnected;
  return results.outcome;
};

/** Pings all at once from a client that never reads. The server must close the connection. */
export const pingsUnread: Attack = async (target) => {
  const results = new ResultCollector();
  const count = times(target, 100_000);
  const { client, frames } = await openCounting(target, results);
  client.socket.pause();
  client.send(Buffer.alloc(6 * count, clientFrame('', { first: 0x89 })));
  await writeUntilClosed(client.socket, PING_MESSAGE, 20, client.disconnected);
  const isClosed = client.socket.closed && frames() < count;
  results.check(isClosed, () => `${frames()} pongs for ${count} pings, not closed`, count);
  return results.outcome;
};
