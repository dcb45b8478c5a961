import { clientFrame } from '../support/client-frame.ts';
import { Random } from '../support/random.ts';
import { sign } from '../support/tokens.ts';
import { type Attack, inParallel, seedFor, type Target, times } from './attack.ts';
import {
  authenticate,
  closeFrame,
  HANDSHAKE,
  PING_MESSAGE,
  PONG_TEXT,
  subscribe,
  subscribedText,
} from './client-messages.ts';
import { ResultCollector } from './result-collector.ts';
import { WireClient } from './wire-client.ts';

/** A way to disconnect. Resolves to whether the server reacted as it should. */
type Disconnect = (client: WireClient) => Promise<boolean>;

const DISCONNECTS: Readonly<Record<string, Disconnect>> = {
  'a close frame': async (client) => {
    client.send(closeFrame(1000, 'bye'));
    await client.disconnected;
    return client.closedWith(1000, 'bye');
  },
  'an empty close frame': async (client) => {
    client.send(clientFrame('', { first: 0x88 }));
    await client.disconnected;
    return client.closedWith(1005);
  },
  'a FIN': async (client) => {
    client.socket.end();
    await client.disconnected;
    return client.fault === undefined;
  },
  'a reset': async (client) => {
    client.socket.resetAndDestroy();
    await client.disconnected;
    return true;
  },
  'an invalid message': async (client) => {
    client.send(clientFrame('bye'));
    await client.disconnected;
    return client.closedWith(4400, 'Invalid message');
  },
  'a bad token': async (client) => {
    client.send(authenticate('bye'));
    await client.disconnected;
    return client.closedWith(4401, 'Not Authorized!');
  },
  'a broken frame': async (client) => {
    client.send(clientFrame('bye', { masked: false }));
    await client.disconnected;
    return client.closedWith(1002);
  },
  'half a frame': async (client) => {
    client.send(PING_MESSAGE.subarray(0, 9));
    client.socket.end();
    await client.disconnected;
    return client.fault === undefined;
  },
};

/** A way to connect. Resolves to whether the server answered as it should. */
type Connect = (client: WireClient, channels: readonly string[]) => Promise<boolean>;

const CONNECTS: readonly Connect[] = [
  async (client, channels) => {
    client.send(HANDSHAKE, subscribe(channels));
    await client.received(channels.length);
    return client.texts.join() === channels.map(subscribedText).join();
  },
  async (client, channels) => {
    client.send(HANDSHAKE);
    await client.upgraded();
    const token = sign({ channels });
    client.send(authenticate(token), PING_MESSAGE, authenticate(token));
    await client.received(2 * channels.length + 1);
    const confirmed = channels.map(subscribedText);
    return client.texts.join() === [...confirmed, PONG_TEXT, ...confirmed].join();
  },
  async (client) => {
    client.send(HANDSHAKE, PING_MESSAGE);
    await client.received(1);
    return client.texts.join() === PONG_TEXT;
  },
  async (client) => client.send(HANDSHAKE).upgraded(),
];

async function visit(
  { port, round }: Target,
  results: ResultCollector,
  random: Random,
  index: number,
) {
  const channels = Array.from(
    { length: 1 + random.below(4) },
    (_, n) => `visit ${round} ${index} ${n}`,
  );
  const how = random.pick(Object.keys(DISCONNECTS));
  results.handshakes += 1;
  const client = new WireClient(port);
  const connected = await random.pick(CONNECTS)(client, channels);
  const then = connected ? '' : client.describe();
  client.frames.length = 0;
  const left = (await DISCONNECTS[how]?.(client)) === true;
  results.check(connected && left, () => `disconnecting by ${how}: ${then} ${client.describe()}`);
}

/** Connects, subscribes to channels of its own and disconnects, in every way. */
export const churn: Attack = async (target) => {
  const results = new ResultCollector();
  const random = new Random(seedFor(target, 'churn'));
  await inParallel(times(target, 50_000), 100, (index) => visit(target, results, random, index));
  return results.outcome;
};
