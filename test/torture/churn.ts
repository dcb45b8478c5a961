import { sign } from '../support/tokens.ts';
import { type Attack, inParallel, Random, seedFor, type Target, times } from './attack.ts';
import { Tally } from './tally.ts';
import {
  authenticate,
  closeFrame,
  frame,
  HANDSHAKE,
  PING_MESSAGE,
  PONG_TEXT,
  subscribe,
  subscribedText,
  WireClient,
} from './wire.ts';

/** A way to leave; resolves to whether the server did what it should. */
type Leave = (client: WireClient) => Promise<boolean>;

const LEAVES: Readonly<Record<string, Leave>> = {
  'a close frame': async (client) => {
    client.send(closeFrame(1000, 'bye'));
    await client.gone;
    return client.closedWith(1000, 'bye');
  },
  'an empty close frame': async (client) => {
    client.send(frame('', { first: 0x88 }));
    await client.gone;
    return client.closedWith(1005);
  },
  'a FIN': async (client) => {
    client.socket.end();
    await client.gone;
    return client.fault === undefined;
  },
  'a reset': async (client) => {
    client.socket.resetAndDestroy();
    await client.gone;
    return true;
  },
  'a message that is none': async (client) => {
    client.send(frame('bye'));
    await client.gone;
    return client.closedWith(4400, 'Invalid message');
  },
  'a bad token': async (client) => {
    client.send(authenticate('bye'));
    await client.gone;
    return client.closedWith(4401, 'Not Authorized!');
  },
  'a broken frame': async (client) => {
    client.send(frame('bye', { mask: null }));
    await client.gone;
    return client.closedWith(1002);
  },
  'half a frame': async (client) => {
    client.send(PING_MESSAGE.subarray(0, 9));
    client.socket.end();
    await client.gone;
    return client.fault === undefined;
  },
};

/** A way to come; resolves to whether the server answered as it should. */
type Arrive = (client: WireClient, channels: readonly string[]) => Promise<boolean>;

const ARRIVALS: readonly Arrive[] = [
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

async function visit({ port, round }: Target, tally: Tally, random: Random, index: number) {
  const channels = Array.from(
    { length: 1 + random.below(4) },
    (_, n) => `visit ${round} ${index} ${n}`,
  );
  const how = random.pick(Object.keys(LEAVES));
  tally.handshakes += 1;
  const client = new WireClient(port);
  const arrived = await random.pick(ARRIVALS)(client, channels);
  const then = arrived ? '' : client.describe();
  client.frames.length = 0;
  const left = (await LEAVES[how]?.(client)) === true;
  tally.check(arrived && left, () => `leaving by ${how}: ${then} ${client.describe()}`);
}

/** Comes, authenticates for channels that nobody else has, and goes, in every manner. */
export const churn: Attack = async (target) => {
  const tally = new Tally();
  const random = new Random(seedFor(target, 'churn'));
  await inParallel(times(target, 50_000), 100, (index) => visit(target, tally, random, index));
  return tally.outcome;
};
