import type { Socket } from 'node:net';
import { sign } from '../support/tokens.ts';
import { type Attack, inParallel, Random, seedFor, times } from './attack.ts';
import { openSocket, post } from './http-wire.ts';
import { Tally } from './tally.ts';
import { closeFrame, frame, HANDSHAKE, PING_MESSAGE, subscribe, WireClient } from './wire.ts';

/** What is sent before the connection is torn down; the answer to it is never awaited. */
const STAGES: readonly (() => Buffer)[] = [
  () => Buffer.alloc(0),
  () => Buffer.from('GET /inf'),
  () => Buffer.from('POST /broadcast HTTP/1.1\r\nHost: a\r\nContent-Le'),
  () => post(body()).subarray(0, -10),
  () => post(body()),
  () => Buffer.from('GET /info.json HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(20)),
  () => HANDSHAKE.subarray(0, 60),
  () => HANDSHAKE,
  () => Buffer.concat([HANDSHAKE, PING_MESSAGE, frame('', { first: 0x89 })]),
  () => Buffer.concat([HANDSHAKE, frame('garbage')]),
  () => Buffer.concat([HANDSHAKE, closeFrame(1000)]),
  () => Buffer.concat([HANDSHAKE, subscribe(['reset'])]),
];

/** The same once the websocket is open and subscribed. */
const OPEN_STAGES: readonly (() => Buffer)[] = [
  () => Buffer.alloc(0),
  () => frame('{"event":"ping"}').subarray(0, 3),
  () => frame('{"event":"ping"}').subarray(0, -5),
  () => frame('{"event":', { first: 0x01 }),
  () => frame('x'.repeat(60_000)).subarray(0, -1),
  () => Buffer.alloc(22 * 50, PING_MESSAGE),
  () => subscribe(Array.from({ length: 500 }, (_, index) => `reset${index}`)),
];

// Never a FIN first and a reset then: libuv refuses that, and Node's socket would never close.
const TEAR_DOWNS: readonly ((socket: Socket) => void)[] = [
  (socket) => socket.resetAndDestroy(),
  (socket) => socket.destroy(),
  (socket) => socket.end().resume(),
];

function body(): string {
  return JSON.stringify({ token: sign({ channel: 'reset', message: { reset: true } }) });
}

/** Connections torn down at every stage, by RST and by FIN. That nobody else notices is measured elsewhere. */
export const resets: Attack = async (target) => {
  const tally = new Tally();
  const random = new Random(seedFor(target, 'resets'));
  await inParallel(times(target, 6_000), 64, async () => {
    const bytes = random.pick(STAGES)();
    const socket = openSocket(target.port);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    await new Promise((resolve) => socket.once('connect', resolve).once('close', resolve));
    socket.write(bytes);
    // The write may have been read or not: both are stages.
    if (random.below(2) === 0) await new Promise((resolve) => setImmediate(resolve));
    random.pick(TEAR_DOWNS)(socket);
    await closed;
    tally.check(true, () => '');
  });
  await inParallel(times(target, 6_000), 64, async (index) => {
    tally.handshakes += 1;
    const client = new WireClient(target.port).send(HANDSHAKE, subscribe([`reset${index}`]));
    const confirmed = await client.received(1);
    client.send(random.pick(OPEN_STAGES)());
    random.pick(TEAR_DOWNS)(client.socket);
    await client.gone;
    tally.check(confirmed, () => `a subscription: ${client.describe()}`);
  });
  return tally.outcome;
};
