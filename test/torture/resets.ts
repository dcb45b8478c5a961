import type { Socket } from 'node:net';
import { clientFrame } from '../support/client-frame.ts';
import { Random } from '../support/random.ts';
import { sign } from '../support/tokens.ts';
import { type Attack, inParallel, seedFor, times } from './attack.ts';
import { closeFrame, HANDSHAKE, PING_MESSAGE, subscribe } from './client-messages.ts';
import { openSocket, post } from './http-client.ts';
import { ResultCollector } from './result-collector.ts';
import { WireClient } from './wire-client.ts';

/** What is sent before the connection is closed. Nobody waits for an answer to it. */
const HTTP_STAGES: readonly (() => Buffer)[] = [
  () => Buffer.alloc(0),
  () => Buffer.from('GET /inf'),
  () => Buffer.from('POST /broadcast HTTP/1.1\r\nHost: a\r\nContent-Le'),
  () => post(body()).subarray(0, -10),
  () => post(body()),
  () => Buffer.from('GET /info.json HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(20)),
  () => HANDSHAKE.subarray(0, 60),
  () => HANDSHAKE,
  () => Buffer.concat([HANDSHAKE, PING_MESSAGE, clientFrame('', { first: 0x89 })]),
  () => Buffer.concat([HANDSHAKE, clientFrame('garbage')]),
  () => Buffer.concat([HANDSHAKE, closeFrame(1000)]),
  () => Buffer.concat([HANDSHAKE, subscribe(['reset'])]),
];

/** The same when the websocket is open and subscribed. */
const WEBSOCKET_STAGES: readonly (() => Buffer)[] = [
  () => Buffer.alloc(0),
  () => clientFrame('{"event":"ping"}').subarray(0, 3),
  () => clientFrame('{"event":"ping"}').subarray(0, -5),
  () => clientFrame('{"event":', { first: 0x01 }),
  () => clientFrame('x'.repeat(60_000)).subarray(0, -1),
  () => Buffer.alloc(22 * 50, PING_MESSAGE),
  () => subscribe(Array.from({ length: 500 }, (_, index) => `reset${index}`)),
];

// Never a reset after a FIN: libuv refuses that, and Node's socket would never close.
const CLOSES: readonly ((socket: Socket) => void)[] = [
  (socket) => socket.resetAndDestroy(),
  (socket) => socket.destroy(),
  (socket) => socket.end().resume(),
];

function body(): string {
  return JSON.stringify({ token: sign({ channel: 'reset', message: { reset: true } }) });
}

/** Connections closed by RST and by FIN at every stage. The control group shows that nobody else is affected. */
export const resets: Attack = async (target) => {
  const results = new ResultCollector();
  const random = new Random(seedFor(target, 'resets'));
  await inParallel(times(target, 6_000), 64, async () => {
    const bytes = random.pick(HTTP_STAGES)();
    const socket = openSocket(target.port);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    await new Promise((resolve) => socket.once('connect', resolve).once('close', resolve));
    socket.write(bytes);
    // The server has read the bytes or not: both must be tried.
    if (random.below(2) === 0) await new Promise((resolve) => setImmediate(resolve));
    random.pick(CLOSES)(socket);
    await closed;
    results.check(true, () => '');
  });
  await inParallel(times(target, 6_000), 64, async (index) => {
    results.handshakes += 1;
    const client = new WireClient(target.port).send(HANDSHAKE, subscribe([`reset${index}`]));
    const confirmed = await client.received(1);
    client.send(random.pick(WEBSOCKET_STAGES)());
    random.pick(CLOSES)(client.socket);
    await client.disconnected;
    results.check(confirmed, () => `a subscription: ${client.describe()}`);
  });
  return results.outcome;
};
