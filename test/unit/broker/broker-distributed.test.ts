import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { pino } from 'pino';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { BrokerUnavailable } from '../../../src/broker/broker.ts';
import { DistributedBroker } from '../../../src/broker/broker-distributed.ts';
import type { BatchOutcome, Bus, BusBatch, BusListener } from '../../../src/broker/bus.ts';
import { ClusterBus } from '../../../src/cluster/cluster-bus.ts';
import { TopicRouter } from '../../../src/cluster/topic-router.ts';
import { payloadOf } from '../../../src/hub/frame.ts';
import { Hub } from '../../../src/hub/hub.ts';
import type { Channel } from '../../../src/protocol/channel.ts';
import { behavesAsBroker, isHealthy } from '../../support/broker-suite.ts';
import { clientFrame } from '../../support/client-frame.ts';
import { handshake } from '../../support/handshake.ts';
import { recordingLog } from '../../support/log.ts';
import { startServer, type TestServer } from '../../support/server.ts';
import { now, sign } from '../../support/tokens.ts';

const OTHER = 'abcdefab-2222-4333-8444-555555555555';

const silent = pino({ level: 'silent' });

/** Nodes on the bus of a cluster, with the event loop between worker and primary in place of processes. */
class FakeCluster {
  readonly #topics = new TopicRouter<ClusterBus>((bus, message) => {
    setImmediate(() => bus.receive(message));
  });

  join(): ClusterBus {
    const bus: ClusterBus = new ClusterBus((message) => {
      setImmediate(() => this.#topics.receive(bus, message));
    });
    return bus;
  }
}

async function startNodes(): Promise<readonly TestServer[]> {
  const cluster = new FakeCluster();
  const nodes = await Promise.all(
    [1, 2, 3].map(() => startServer({}, silent, { bus: cluster.join() })),
  );
  await Promise.all(nodes.map(isHealthy));
  return nodes;
}

describe('the local broker', () => {
  behavesAsBroker(async () => [await startServer()]);
});

describe('the broker of many nodes on the bus of a cluster', () => {
  behavesAsBroker(startNodes);
});

/** A bus that does only what the test says. */
class ManualBus implements Bus {
  listener: BusListener | undefined;
  readonly published: {
    topic: string;
    text: string;
    reach: (nodes: number) => void;
    fail: () => void;
  }[] = [];
  readonly batches: {
    batch: BusBatch;
    reach: (outcome: BatchOutcome) => void;
    fail: () => void;
  }[] = [];
  readonly answers = new Map<string, string>();
  readonly subscribing: { topics: readonly string[]; confirm: () => void; fail: () => void }[] = [];
  readonly unsubscribed: (readonly string[])[] = [];
  readonly resets: string[] = [];

  open(listener: BusListener): void {
    this.listener = listener;
  }

  publish(topic: string, text: string): Promise<number> {
    return new Promise((reach, reject) => {
      this.published.push({ topic, text, reach, fail: () => reject(new Error('lost')) });
    });
  }

  publishBatch(batch: BusBatch): Promise<BatchOutcome> {
    return new Promise((reach, reject) => {
      this.batches.push({ batch, reach, fail: () => reject(new Error('lost')) });
    });
  }

  storeAnswer(jti: string, answer: string): void {
    this.answers.set(jti, answer);
  }

  async findAnswer(jti: string): Promise<string | undefined> {
    return this.answers.get(jti);
  }

  subscribe(topics: readonly string[]): Promise<void> {
    return new Promise((confirm, reject) => {
      this.subscribing.push({ topics, confirm, fail: () => reject(new Error('lost')) });
    });
  }

  unsubscribe(topics: readonly string[]): void {
    this.unsubscribed.push(topics);
  }

  reset(reason: string): void {
    this.resets.push(reason);
  }

  async close(): Promise<void> {}

  /** Comes up and confirms all that is asked of it. */
  async comeUp(): Promise<void> {
    this.listener?.up();
    await this.confirmAll();
  }

  async confirmAll(): Promise<void> {
    for (let next = this.subscribing.shift(); next; next = this.subscribing.shift()) {
      next.confirm();
      await settle();
      if (next.topics[0]?.startsWith('p:node:') || next.topics[0]?.startsWith('bifrost:node:')) {
        this.carryProbe();
        await settle();
      }
    }
  }

  /** Carries what the node published last, to itself. */
  carryProbe(): void {
    const probe = this.published.pop();
    probe?.reach(1);
    this.listener?.message(probe?.topic ?? '', probe?.text ?? '');
  }
}

/** Lets all that is ready run. */
async function settle(): Promise<void> {
  for (let n = 0; n < 10; n += 1) await Promise.resolve();
}

afterEach(() => {
  vi.useRealTimers();
});

describe('a node whose bus is lost and reconnected', () => {
  async function startNode(env: Record<string, string> = {}) {
    const bus = new ManualBus();
    const node = await startServer(env, silent, { bus });
    const health = async () => (await fetch(`${node.url}/healthz`)).text();
    return { bus, node, health };
  }

  const token = sign({ channel: 'a', message: { n: 1 } });

  it('refuses broadcasts and fails health checks while the bus is unavailable', async () => {
    const { bus, node, health } = await startNode({ METRICS: 'true' });
    const refused = await node.post(JSON.stringify({ token }));
    expect(refused.status).toBe(503);
    expect(refused.headers.get('retry-after')).toBe('1');
    expect(await refused.text()).toBe('{"error":"Broker unavailable"}');
    expect(await (await fetch(`${node.url}/metrics`)).text()).toContain(
      '\nbifrost_broadcasts_total{result="failed"} 1\n',
    );
    expect(await health()).toBe('{"status":"broker unavailable"}');

    await bus.comeUp();
    expect(await health()).toBe('{"status":"ok"}');
    bus.listener?.down();
    expect(await health()).toBe('{"status":"broker unavailable"}');
    expect((await fetch(`${node.url}/info.json`)).status).toBe(200);
  });

  it('drops texts of other programs under its prefix, counts them and logs that once', async () => {
    const { log, lines } = recordingLog('warn');
    const bus = new ManualBus();
    const node = await startServer({ METRICS: 'true' }, log, { bus });
    const metrics = async () => (await fetch(`${node.url}/metrics`)).text();
    expect(await metrics()).toContain('\nbifrost_broker_malformed_texts_total 0\n');
    await bus.comeUp();
    for (const text of ['hello', '', '{}']) bus.listener?.message('bifrost:channel:a', text);
    expect(await metrics()).toContain('\nbifrost_broker_malformed_texts_total 3\n');
    expect(lines).toEqual([
      {
        level: 40,
        topic: 'bifrost:channel:a',
        dropped: 1,
        msg: 'dropped a message of another program under BROKER_PREFIX',
      },
    ]);
  });

  it('sends confirmations only when the bus is available, and pongs at once', async () => {
    const { bus, node } = await startNode();
    const client = await node.connect();
    client.authenticate(sign({ channels: ['a', 'b', 'a'] }));
    await client.ping();
    expect(await node.stats()).toEqual({ deliveries: 0, connected: 0 });

    await bus.comeUp();

    for (const channel of ['a', 'b', 'a']) {
      expect(await client.next()).toMatchObject({ data: JSON.stringify({ channel }) });
    }
  });

  it('keeps the authentication timeout for a connection that waits for the bus', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
    const { node } = await startNode({ PING_INTERVAL_SECONDS: '80000' });
    const client = (await node.connect()).authenticate(sign({ channels: ['a'] }));
    await client.ping();
    vi.advanceTimersByTime(30_500);
    expect(await client.closed).toEqual({ code: 4408, reason: 'Authentication timeout' });
  });

  it('bounds the confirmations that wait for the bus', async () => {
    const { node } = await startNode({ MAX_CHANNELS_PER_CONNECTION: '10' });
    const client = await node.connect();
    const channels = Array.from({ length: 10 }, (_, n) => `${n}`);
    for (let n = 0; n < 5; n += 1) client.authenticate(sign({ channels }));
    await client.ping();
    client.authenticate(sign({ channels }));
    expect(await client.closed).toEqual({ code: 4413, reason: 'Too many channels' });
  });

  /** Tokens that all have to wait, far more than are kept and than one read of the socket brings. */
  const MANY_TOKENS = 2_000;
  const waitingToken = sign({ channels: ['a'] });

  /** Resolves when the server has read all that it is going to read of anybody. */
  async function hasReadAll(node: TestServer): Promise<void> {
    const other = await node.connect();
    for (let n = 0; n < 100; n += 1) await other.ping();
  }

  it('keeps a few tokens of a connection and stops reading until the bus is available', async () => {
    const { bus, node } = await startNode();
    const client = await node.connect();
    for (let n = 0; n < MANY_TOKENS; n += 1) {
      client.authenticate(sign({ channels: n % 2 === 0 ? ['a', `${n % 10}`] : [] }));
    }
    client.send({ event: 'ping' });
    await hasReadAll(node);

    await bus.comeUp();
    for (let n = 0; n < MANY_TOKENS; n += 2) {
      for (const channel of ['a', `${n % 10}`]) {
        expect(await client.next()).toMatchObject({ data: JSON.stringify({ channel }) });
      }
      // Whatever was not in the token that waited is asked for when it is read.
      await bus.confirmAll();
    }
    // Pongs overtake tokens that wait, but this ping had not been read.
    expect(await client.next()).toEqual({ event: 'pong' });
  });

  describe('a connection that is not read while the bus is unavailable', () => {
    function fakeClock() {
      vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
    }
    const BEAT_MS = 15_100;

    async function startFlooded({ authenticated = true } = {}) {
      const { bus, node } = await startNode({ METRICS: 'true' });
      const connection = await node.raw();
      connection.write(handshake());
      await connection.reply();
      const say = (token: string) =>
        clientFrame(JSON.stringify({ event: 'authenticate', data: token }));
      if (authenticated) connection.write(say(sign({ channels: [] })));
      const message = say(waitingToken);
      connection.write(Buffer.concat(Array.from({ length: MANY_TOKENS }, () => message)));
      await hasReadAll(node);
      return { bus, node, connection };
    }

    const PING = Buffer.from([0x89, 0]);
    const PONG = clientFrame('', { first: 0x8a });
    const GOODBYE = clientFrame(Buffer.from([0x11, 0x38]), { first: 0x88 });

    it('is pinged, and not closed for pongs that are not read', async () => {
      fakeClock();
      const { bus, connection } = await startFlooded();
      for (let beat = 0; beat < 4; beat += 1) {
        vi.advanceTimersByTime(BEAT_MS);
        expect(await connection.take(2)).toEqual(PING);
        connection.write(PONG);
      }

      await bus.comeUp();
      // In the same turn: what it answered is still unread.
      vi.advanceTimersByTime(BEAT_MS);
      const confirmation = Buffer.from('{"event":"subscribed","data":"{\\"channel\\":\\"a\\"}"}');
      const frame = Buffer.concat([Buffer.from([0x81, confirmation.length]), confirmation]);
      const expected = [PING, ...Array.from({ length: MANY_TOKENS }, () => frame)];
      const received = await connection.take(Buffer.concat(expected).length);
      expect(received.toString('latin1').replaceAll(frame.toString('latin1'), '')).toBe('\x89\0');
    });

    it('is closed when it does not answer afterwards either', async () => {
      fakeClock();
      const { bus, connection } = await startFlooded();
      for (let beat = 0; beat < 4; beat += 1) vi.advanceTimersByTime(BEAT_MS);
      await bus.comeUp();
      for (let beat = 0; beat < 2; beat += 1) vi.advanceTimersByTime(BEAT_MS);
      connection.write(GOODBYE);
      expect((await connection.ended).toString('latin1')).toContain(
        "Socket didn't respond to ping",
      );
    });

    it('is removed when its peer has disconnected', async () => {
      fakeClock();
      const { node, connection } = await startFlooded();
      connection.socket.resetAndDestroy();
      // Only the socket of the fence is left.
      for (let left = ''; !left.includes('\nbifrost_connections 1\n'); ) {
        vi.advanceTimersByTime(BEAT_MS);
        left = await (await fetch(`${node.url}/metrics`)).text();
      }
    });

    it('keeps its authentication timeout, and may send its close frame', async () => {
      fakeClock();
      const { node, connection } = await startFlooded({ authenticated: false });
      vi.advanceTimersByTime(30_500);
      const reason = 'Authentication timeout';
      const close = Buffer.from(
        `\x88${String.fromCharCode(2 + reason.length)}\x11\x38${reason}`,
        'latin1',
      );
      const received = await connection.take(2 + close.length);
      expect(received).toEqual(Buffer.concat([PING, close]));
      connection.write(GOODBYE);
      await connection.ended;
      await node.server.close();
    });
  });

  describe('with ENFORCE_TOKEN_EXPIRY', () => {
    const ON = {
      ENFORCE_TOKEN_EXPIRY: 'true',
      AUTH_TIMEOUT_SECONDS: '0',
      PING_INTERVAL_SECONDS: '80000',
    };

    function fakeClock() {
      vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance', 'Date'] });
    }

    it('closes a connection whose token expires before the bus is available', async () => {
      fakeClock();
      const { node } = await startNode(ON);
      const client = await node.connect();
      client.authenticate(sign({ channels: ['a'], exp: now() + 100 }));
      await client.ping();
      vi.advanceTimersByTime(98_000);
      await client.ping();
      vi.advanceTimersByTime(2_500);
      expect(await client.closed).toEqual({ code: 4401, reason: 'Token expired' });
      expect(await node.stats()).toEqual({ deliveries: 0, connected: 0 });
    });

    it('keeps a connection whose fresh token came in time and waits for the bus', async () => {
      fakeClock();
      const { bus, node } = await startNode(ON);
      await bus.comeUp();
      const client = await node.connect();
      client.authenticate(sign({ channels: ['a'], exp: now() + 100 }));
      await client.ping();
      await bus.confirmAll();
      await client.next();

      bus.listener?.down();
      client.authenticate(sign({ channels: ['a'], exp: now() + 200 }));
      await client.ping();
      vi.advanceTimersByTime(150_000);
      await client.ping();
      await bus.comeUp();
      await client.next();
      vi.advanceTimersByTime(51_000);
      expect(await client.closed).toEqual({ code: 4401, reason: 'Token expired' });
    });
  });

  it('counts channels that wait for the bus against MAX_CHANNELS_PER_CONNECTION', async () => {
    const { node } = await startNode({ MAX_CHANNELS_PER_CONNECTION: '2' });
    const client = await node.connect();
    client.authenticate(sign({ channels: ['a', 'b'] })).authenticate(sign({ channels: ['b'] }));
    await client.ping();
    client.authenticate(sign({ channels: ['c'] }));
    expect(await client.closed).toEqual({ code: 4413, reason: 'Too many channels' });
  });

  it.each([
    ['keep', undefined],
    ['reconnect', { code: 1013, reason: 'Try again later' }],
  ])('with ON_BROKER_LOSS=%s closes with %j when it is lost', async (choice, closed) => {
    const { bus, node } = await startNode({ ON_BROKER_LOSS: choice });
    await bus.comeUp();
    const client = await node.connect();
    client.authenticate(sign({ channels: ['a'] }));
    await client.ping();
    await bus.confirmAll();
    await client.next();

    bus.listener?.down();

    if (closed !== undefined) expect(await client.closed).toEqual(closed);
    else await client.ping();
  });
});

describe('DistributedBroker', () => {
  function createBroker() {
    const hub = new Hub();
    const bus = new ManualBus();
    const changes: boolean[] = [];
    const malformed: string[] = [];
    const broker = new DistributedBroker(hub, bus, {
      prefix: 'p:',
      onChange: (isAvailable) => changes.push(isAvailable),
      onMalformed: (topic) => malformed.push(topic),
    });
    return { hub, bus, broker, changes, malformed };
  }

  const channel = 'a' as Channel;
  const subscriber = { deliver: () => true };
  const broadcast = { channel, message: '{"n":1}' };

  it('subscribes on the bus with the first subscriber of a channel and unsubscribes with the last', async () => {
    const { bus, broker } = createBroker();
    await bus.comeUp();
    const other = { deliver: () => true };
    const subscribed = vi.fn();
    expect(broker.subscribe(subscriber, [channel, channel], subscribed)).toBe(false);
    expect(broker.subscribe(other, [channel], subscribed)).toBe(false);
    expect(bus.subscribing.map(({ topics }) => topics)).toEqual([['p:channel:a']]);
    expect(subscribed).toHaveBeenCalledTimes(0);
    await bus.confirmAll();
    expect(subscribed).toHaveBeenCalledTimes(2);
    expect(broker.subscribe({ deliver: () => true }, [], subscribed)).toBe(true);
    expect(broker.subscribe(other, [channel], subscribed)).toBe(true);

    broker.unsubscribe(subscriber);
    broker.unsubscribe(subscriber);
    expect(bus.unsubscribed).toEqual([]);
    broker.unsubscribe(other);
    expect(bus.unsubscribed).toEqual([['p:channel:a']]);
  });

  it('waits for a new confirmation when a channel was unsubscribed and subscribed again meanwhile', async () => {
    const { bus, broker } = createBroker();
    await bus.comeUp();
    const subscribed = vi.fn();
    broker.subscribe(subscriber, [channel], () => subscribed('left'));
    broker.unsubscribe(subscriber);
    broker.subscribe(subscriber, [channel], () => subscribed('again'));

    bus.subscribing[0]?.confirm();
    await settle();
    expect(subscribed).not.toHaveBeenCalled();
    bus.subscribing[1]?.confirm();
    await settle();
    expect(subscribed.mock.calls).toEqual([['again']]);
  });

  it('removes a subscriber that leaves during an outage while others wait for the same channel', async () => {
    const { bus, broker } = createBroker();
    const subscribed = vi.fn();
    broker.subscribe(subscriber, [channel], () => subscribed('stayed'));
    for (let n = 0; n < 3; n += 1) {
      const guest = { deliver: () => true };
      broker.subscribe(guest, [channel], () => subscribed('left'));
      broker.unsubscribe(guest);
    }
    await bus.comeUp();
    expect(subscribed.mock.calls).toEqual([['stayed']]);
  });

  it('waits for a new confirmation after a loss, also for channels that were confirmed before it', async () => {
    const { bus, broker } = createBroker();
    await bus.comeUp();
    const late = 'late' as Channel;
    const early = 'early' as Channel;
    // As many as are renewed at once come before the channel that is confirmed early.
    const many = Array.from({ length: 1_000 }, (_, n) => `${n}` as Channel);
    broker.subscribe({ deliver: () => true }, [late], () => {});
    broker.subscribe({ deliver: () => true }, [...many, early], () => {});
    bus.subscribing[1]?.confirm();
    await settle();
    const subscribed = vi.fn();
    expect(broker.subscribe(subscriber, [early, late], subscribed)).toBe(false);

    bus.listener?.down();
    bus.subscribing.length = 0;
    bus.listener?.up();
    const confirmNext = async () => {
      bus.subscribing.shift()?.confirm();
      await settle();
    };
    await confirmNext();
    bus.carryProbe();
    await settle();
    expect(bus.subscribing[0]?.topics[0]).toBe('p:channel:late');
    await confirmNext();
    expect(subscribed).not.toHaveBeenCalled();
    await confirmNext();
    expect(subscribed).toHaveBeenCalledTimes(1);
  });

  it('renews all subscriptions after a loss before it is available again', async () => {
    const { bus, broker, changes } = createBroker();
    await bus.comeUp();
    broker.subscribe(subscriber, [channel], () => {});
    await bus.confirmAll();
    bus.listener?.down();
    let isSubscribed = false;
    broker.subscribe({ deliver: () => true }, [channel], () => {
      isSubscribed = true;
    });

    bus.listener?.up();
    bus.subscribing.shift()?.confirm();
    await settle();
    bus.carryProbe();
    await settle();
    expect(bus.subscribing.map(({ topics }) => topics)).toEqual([['p:channel:a']]);
    expect([broker.isAvailable, isSubscribed]).toEqual([false, false]);
    await bus.confirmAll();
    expect([broker.isAvailable, isSubscribed]).toEqual([true, true]);
    expect(changes).toEqual([true, false, true]);
  });

  it('ignores confirmations that arrive after a loss for requests from before it', async () => {
    const { bus, broker } = createBroker();
    await bus.comeUp();
    let isSubscribed = false;
    broker.subscribe(subscriber, [channel], () => {
      isSubscribed = true;
    });
    const before = bus.subscribing.shift();
    bus.listener?.down();
    before?.confirm();
    await settle();
    expect(isSubscribed).toBe(false);
  });

  it('adds up the answers of all nodes that were reached, in whatever order they come', async () => {
    const { bus, broker } = createBroker();
    await bus.comeUp();
    const published = broker.publish(broadcast);
    const [question] = bus.published;
    const [node, id] = question?.text.split(' ') ?? [];
    expect(question?.text).toBe(`${node} ${id} {"n":1}`);

    bus.listener?.message(`p:node:${node}`, `${id} 5`);
    question?.reach(3);
    await settle();
    bus.listener?.message(`p:node:${node}`, `${id} 0`);
    bus.listener?.message(`p:node:${node}`, `${id} 2`);

    expect(await published).toEqual({ deliveries: 7, isPartial: false });
  });

  it('answers the sum so far at the deadline, and says that it is partial', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { bus, broker } = createBroker();
    await bus.comeUp();
    const published = broker.publish(broadcast);
    const [question] = bus.published;
    const [node, id] = question?.text.split(' ') ?? [];
    question?.reach(2);
    bus.listener?.message(`p:node:${node}`, `${id} 5`);
    await settle();
    vi.advanceTimersByTime(2_000);
    expect(await published).toEqual({ deliveries: 5, isPartial: true });
    // Too late, and no harm.
    bus.listener?.message(`p:node:${node}`, `${id} 5`);
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each(['fails', 'hangs'])('is unavailable for a broadcast whose sending %s', async (how) => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { bus, broker } = createBroker();
    await bus.comeUp();
    const published = broker.publish(broadcast);
    if (how === 'fails') bus.published[0]?.fail();
    else vi.advanceTimersByTime(2_000);
    await expect(published).rejects.toThrow();
  });

  it('tells the publisher how many it delivered, 0 too', async () => {
    const { bus, hub } = createBroker();
    await bus.comeUp();
    bus.listener?.message('p:channel:a', `${OTHER} 7 {"n":1}`);
    hub.subscribe(subscriber, channel);
    bus.listener?.message('p:channel:a', `${OTHER} 8 {"n": 1}`);
    expect(bus.published.map(({ topic, text }) => [topic, text])).toEqual([
      [`p:node:${OTHER}`, '7 0'],
      [`p:node:${OTHER}`, '8 1'],
    ]);
  });

  it.each(['never comes back', 'is not sent'])(
    'resets a bus on which a text to its own topic %s',
    async (what) => {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
      const { bus, broker } = createBroker();
      bus.listener?.up();
      bus.subscribing.shift()?.confirm();
      await settle();
      expect(bus.published.map(({ topic }) => topic)).toEqual([expect.stringMatching(/^p:node:/)]);

      if (what === 'is not sent') bus.published[0]?.fail();
      else bus.published[0]?.reach(1);
      await settle();
      vi.advanceTimersByTime(2_000);
      await settle();

      expect(bus.resets).toEqual(['what this node publishes does not come back to it']);
      expect(broker.isAvailable).toBe(false);
    },
  );

  it('does not reset a bus for a text published before a loss', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { bus, broker } = createBroker();
    bus.listener?.up();
    bus.subscribing.shift()?.confirm();
    await settle();
    bus.listener?.down();
    await bus.comeUp();
    vi.advanceTimersByTime(2_000);
    await settle();
    expect([bus.resets, broker.isAvailable]).toEqual([[], true]);
  });

  it('leaves no timer that would delay the shutdown', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    for (const isSubscribed of [false, true]) {
      const { bus, broker } = createBroker();
      bus.listener?.up();
      if (isSubscribed) bus.subscribing.shift()?.confirm();
      await settle();
      await broker.close();
      if (!isSubscribed) bus.subscribing.shift()?.confirm();
      await settle();
      expect([vi.getTimerCount(), bus.resets]).toEqual([0, []]);
    }
  });

  it('answers only its own counters when too many requests are open', async () => {
    const { bus, hub, broker } = createBroker();
    await bus.comeUp();
    hub.subscribe(subscriber, channel);
    const published = Array.from({ length: 10_000 }, () => broker.publish(broadcast));
    await expect(broker.publish(broadcast)).rejects.toThrow(BrokerUnavailable);
    expect(await broker.stats()).toMatchObject({ deliveries: 1, subscriptions: 1 });
    for (const { reach } of bus.published) reach(0);
    await Promise.all(published);
  });

  it('keeps no state for connections that closed while they waited', async () => {
    const { bus, broker } = createBroker();
    broker.subscribe(subscriber, [channel], () => {});
    const comeAndGo = () => {
      const visitor = { deliver: () => true };
      broker.subscribe(visitor, [channel], () => visitor.deliver());
      broker.unsubscribe(visitor);
      return new WeakRef(visitor);
    };
    const visitors = Array.from({ length: 100 }, comeAndGo);

    setFlagsFromString('--expose-gc');
    const collectGarbage = runInNewContext('gc');
    // What a WeakRef was asked for lives to the end of the turn.
    await new Promise((resolve) => setImmediate(resolve));
    collectGarbage();

    expect(visitors.filter((visitor) => visitor.deref() !== undefined)).toEqual([]);
    await bus.comeUp();
  });

  const HEADER = `${OTHER} 1`;

  it.each([
    ['p:channel:a', ''],
    ['p:channel:a', 'hello'],
    ['p:channel:a', '{"n":1}'],
    ['p:channel:a', `other 1 {"n":1}`],
    ['p:channel:a', `${OTHER.toUpperCase()} 1 {"n":1}`],
    ['p:channel:a', `${OTHER}1 {"n":1}`],
    ['p:channel:a', `${OTHER} x {"n":1}`],
    ['p:channel:a', `${OTHER} -1 {"n":1}`],
    ['p:channel:a', `${OTHER} 01 {"n":1}`],
    ['p:channel:a', `${OTHER} 9007199254740993 {"n":1}`],
    ['p:channel:a', HEADER],
    ['p:channel:a', `${HEADER} `],
    ['p:channel:a', `${HEADER} hello`],
    ['p:channel:a', `${HEADER} {`],
    ['p:channel:a', `${HEADER} [{}]`],
    ['p:channel:a', `${HEADER} {"n":1`],
    ['p:channel:a', `${HEADER} "{}"`],
    ['p:stats', ''],
    ['p:stats', 'other 1'],
    ['p:stats', `${HEADER} 1`],
    ['p:stats', OTHER],
    ['p:node:own', ''],
    ['p:node:own', '1'],
    ['p:node:own', '1 '],
    ['p:node:own', '1 NaN'],
    ['p:node:own', '1 -1'],
    ['p:node:own', '1 1.5'],
    ['p:node:own', '1 1e3'],
    ['p:node:own', '1 Infinity'],
    ['p:node:own', '1  1'],
    ['p:node:own', 'x y z'],
    ['p:node:own', `1${' 1'.repeat(9)}`],
    ['p:node:x', '1 1'],
    ['elsewhere', `${HEADER} {"n":1}`],
  ])('drops and counts what no node can have sent to %s: %j', async (topic, text) => {
    const { bus, hub, broker, malformed } = createBroker();
    bus.listener?.up();
    const own = bus.subscribing[0]?.topics[0] ?? '';
    await bus.confirmAll();
    const deliver = vi.fn(() => true);
    hub.subscribe({ deliver }, channel);
    deliver.mockClear();
    const to = topic === 'p:node:own' ? own : topic;

    bus.listener?.message(to, text);

    expect(broker.malformedTexts).toBe(1);
    expect(malformed).toEqual([to]);
    expect(deliver).not.toHaveBeenCalled();
    expect(bus.published).toEqual([]);
  });

  it('ignores an answer with the wrong number of values', async () => {
    const { bus, broker } = createBroker();
    await bus.comeUp();
    const published = broker.publish(broadcast);
    const [node, id] = bus.published[0]?.text.split(' ') ?? [];
    bus.published[0]?.reach(1);
    await settle();
    bus.listener?.message(`p:node:${node}`, `${id} 1 1`);
    bus.listener?.message(`p:node:${node}`, `${id} 3`);
    expect(await published).toEqual({ deliveries: 3, isPartial: false });
    expect(broker.malformedTexts).toBe(1);
  });

  it('carries a message that was signed with white space around it', async () => {
    const { bus, hub, broker } = createBroker();
    await bus.comeUp();
    const texts: string[] = [];
    hub.subscribe({ deliver: (frame) => texts.push(payloadOf(frame).toString()) > 0 }, channel);
    bus.listener?.message('p:channel:a', `${OTHER} 1 \r\n\t {"n":1} \n`);
    expect(texts.at(-1)).toBe('\r\n\t {"n":1} \n');
    expect(broker.malformedTexts).toBe(0);
  });

  describe('with a batch', () => {
    const batch = {
      publications: [
        { channel, message: '{"n":1}' },
        { channel: 'b' as Channel, message: '{"n":1}' },
        { channel, message: '{"n":2}' },
      ],
      entrySizes: [2, 1],
      jti: 'x',
    };

    async function publishBatch() {
      const all = createBroker();
      await all.bus.comeUp();
      const published = all.broker.publishBatch(batch);
      const sent = all.bus.batches[0];
      const [node, id] = sent?.batch.head.split(' ') ?? [];
      const answer = (text: string) => all.bus.listener?.message(`p:node:${node}`, `${id} ${text}`);
      return { ...all, published, sent, answer };
    }

    it('sends it as one, with every text once, and adds up what the nodes have counted', async () => {
      const { bus, broker, published, sent, answer } = await publishBatch();
      expect(sent?.batch).toEqual({
        head: expect.stringMatching(/^[-0-9a-f]{36} [0-9]+$/),
        topics: ['p:channel:a', 'p:channel:b', 'p:channel:a'],
        textOf: [0, 0, 1],
        texts: ['{"n":1}', '{"n":2}'],
        jti: 'x',
      });
      answer('0:5 2:5');
      sent?.reach(4);
      await settle();
      answer('1:7');
      answer('0:1');
      expect(await published).toEqual({ results: [13, 5], isPartial: false, isDuplicate: false });
      await settle();
      expect([...bus.answers]).toEqual([['x', '13 5']]);
      expect(broker.malformedTexts).toBe(0);
    });

    it('answers what is there at the deadline, and stores that it is partial', async () => {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
      const { bus, published, sent, answer } = await publishBatch();
      sent?.reach(2);
      answer('1:2');
      await settle();
      vi.advanceTimersByTime(2_000);
      expect(await published).toEqual({ results: [2, 0], isPartial: true, isDuplicate: false });
      await settle();
      expect([...bus.answers]).toEqual([['x', '~2 0']]);
    });

    it.each([
      ['3 0', { results: [3, 0], isPartial: false, isDuplicate: true }],
      ['~3 0', { results: [3, 0], isPartial: true, isDuplicate: true }],
      ['what no node has stored', { results: [], isPartial: true, isDuplicate: true }],
      [undefined, { results: [], isPartial: true, isDuplicate: true }],
    ])('answers a duplicate with what was stored: %j', async (stored, expected) => {
      const { bus, published, sent } = await publishBatch();
      if (stored !== undefined) bus.answers.set('x', stored);
      sent?.reach('duplicate');
      expect(await published).toEqual(expected);
      expect(bus.answers.get('x')).toBe(stored);
    });

    it.each(['fails', 'hangs'])(
      'is unavailable when sending it %s, and stores nothing',
      async (how) => {
        vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
        const { bus, published, sent } = await publishBatch();
        if (how === 'fails') sent?.fail();
        else vi.advanceTimersByTime(2_000);
        await expect(published).rejects.toThrow(BrokerUnavailable);
        sent?.reach(1);
        await settle();
        expect(bus.answers.size).toBe(0);
      },
    );

    it('sends nothing while it is away', async () => {
      const { bus, broker } = createBroker();
      await expect(broker.publishBatch(batch)).rejects.toThrow(BrokerUnavailable);
      expect(bus.batches).toEqual([]);
    });

    it('answers once for all that comes in one turn, its own too', async () => {
      const { bus, hub, published, sent } = await publishBatch();
      hub.subscribe(subscriber, channel);
      for (const index of [0, 1, 2]) bus.listener?.message('p:channel:a', `${OTHER} 7:${index} {}`);
      bus.listener?.message('p:channel:a', `${OTHER} 8:999 {}`);
      for (const index of [0, 2]) {
        bus.listener?.message('p:channel:a', `${sent?.batch.head}:${index} {}`);
      }
      expect(bus.published).toEqual([]);
      await new Promise((resolve) => setImmediate(resolve));
      expect(bus.published.map(({ topic, text }) => [topic, text])).toEqual([
        [`p:node:${OTHER}`, '7 0:1 1:1 2:1'],
        [`p:node:${OTHER}`, '8 999:1'],
      ]);
      sent?.reach(2);
      expect(await published).toMatchObject({ results: [1, 1] });
    });

    it.each(['0:', ':1', '0:1 ', '0:-1', '1000:1', '00:1', '0:1:1', '0:1 5', '0:1e3', '3:1'])(
      'takes no answer that no node can have given: %j',
      async (text) => {
        const { broker, published, sent, answer } = await publishBatch();
        sent?.reach(1);
        await settle();
        answer(text);
        expect(broker.malformedTexts).toBe(1);
        answer('0:1');
        expect(await published).toMatchObject({ results: [1, 0], isPartial: false });
      },
    );

    it.each(['7:', '7:x', '7:1000', '7:-1', '7:01', '7:1:1'])(
      'takes no broadcast called %j',
      async (name) => {
        const { bus, broker } = createBroker();
        await bus.comeUp();
        bus.listener?.message('p:channel:a', `${OTHER} ${name} {}`);
        expect(broker.malformedTexts).toBe(1);
      },
    );

    it('confirms no subscription before what came earlier has been handed out', async () => {
      let time = performance.now();
      const clock = vi.spyOn(performance, 'now').mockImplementation(() => {
        time += 20;
        return time;
      });
      onTestFinished(() => clock.mockRestore());
      const { bus, hub, broker } = createBroker();
      await bus.comeUp();
      const order: string[] = [];
      hub.subscribe({ deliver: (frame) => order.push(payloadOf(frame).toString()) > 0 }, channel);
      order.length = 0;
      const late = { deliver: () => true };
      const gone = { deliver: () => true };
      for (const each of [late, gone])
        broker.subscribe(each, [channel], () => order.push(each === late ? 'late' : 'gone'));
      for (const index of [0, 1, 2])
        bus.listener?.message('p:channel:a', `${OTHER} 7:${index} {"n":${index}}`);
      await bus.confirmAll();
      expect(broker.subscribe(late, [channel], () => order.push('again'))).toBe(false);
      broker.unsubscribe(gone);
      bus.listener?.message('p:channel:a', `${OTHER} 8 {"n":"single"}`);
      expect(order.length).toBeLessThan(3);
      while (order.length < 6) await new Promise((resolve) => setImmediate(resolve));
      expect(order).toEqual(['{"n":0}', '{"n":1}', '{"n":2}', 'late', 'again', '{"n":"single"}']);
      await new Promise((resolve) => setImmediate(resolve));
      expect(broker.subscribe(late, [channel], () => {})).toBe(true);
    });
  });
});
