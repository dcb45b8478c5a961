import { createClient } from 'redis';
import { describe, expect, it } from 'vitest';
import type { RedisServer } from '../support/redis.ts';
import { sign } from '../support/tokens.ts';
import { type Node, prepareRedis, startNode, startNodes, startRedis } from './nodes.ts';

const UNAVAILABLE = { status: 503, body: '{"error":"Broker unavailable"}' };
const LOST = /broker unavailable/;
const BACK = /broker available/;

async function post(node: Node, channel: string, message: unknown) {
  const response = await node.post(JSON.stringify({ token: sign({ channel, message }) }));
  return { status: response.status, body: await response.text() };
}

function success(deliveries: number): { status: number; body: string } {
  return { status: 200, body: `{"message":"Success","deliveries":${deliveries}}` };
}

/** Two nodes with a subscriber of `a` each. */
async function startPair(redis: RedisServer, env: Record<string, string> = {}) {
  const [one, two] = (await startNodes(redis, 2, env)) as [Node, Node];
  const nodes = [one, two];
  for (const { book } of nodes) await book.reads(BACK);
  const clients = [
    await (await one.connect()).subscribe('a'),
    await (await two.connect()).subscribe('a'),
  ];
  return {
    one,
    two,
    nodes,
    clients,
    /** Resolves once every node has noticed a loss, and the end of it. */
    async haveBeenLost() {
      for (const { book } of nodes) {
        await book.reads(LOST);
        await book.reads(BACK);
      }
    },
    /** All is as it was: every node reaches every subscriber, those that were there before included. */
    async work() {
      for (const node of nodes) {
        expect(await post(node, 'a', { fence: true })).toEqual(success(clients.length));
        for (const client of clients) expect(await client.next()).toEqual({ fence: true });
      }
    },
  };
}

describe('Redis that is not there at the start', () => {
  it('accepts websockets, and confirms their channels when Redis appears', async () => {
    const redis = await prepareRedis();
    const node = await startNode(redis);
    await node.book.reads(/"level":50.*ECONNREFUSED.*Redis connection lost, reconnecting/);
    expect(await node.health()).toEqual({
      status: 503,
      body: '{"status":"broker unavailable"}',
    });
    expect(await post(node, 'a', {})).toEqual(UNAVAILABLE);
    const client = await node.connect();
    client.authenticate(sign({ channels: ['a', 'b'] }));
    // The pong is the first to come, though it was asked for last.
    await client.ping();
    expect(await node.stats()).toEqual({ deliveries: 0, connected: 0 });

    await redis.start();

    for (const channel of ['a', 'b']) {
      expect(await client.next()).toMatchObject({ data: JSON.stringify({ channel }) });
    }
    await node.becomes(200);
    expect(await post(node, 'a', { n: 1 })).toEqual(success(1));
    expect(await client.next()).toEqual({ n: 1 });
  });
});

describe('Redis that is lost', () => {
  it.each(['SIGTERM', 'SIGKILL'] as const)(
    'by a restart with %s is missed at once, and everything is subscribed again when it is back',
    async (signal) => {
      const redis = await startRedis();
      const pair = await startPair(redis);

      await redis.kill(signal);
      for (const { book, becomes } of pair.nodes) {
        await book.reads(LOST);
        await becomes(503);
      }
      expect(await post(pair.one, 'a', { n: 1 })).toEqual(UNAVAILABLE);
      // What joins meanwhile waits.
      const late = await pair.two.connect();
      late.authenticate(sign({ channels: ['a'] }));
      await late.ping();

      await redis.start();
      for (const node of pair.nodes) await node.becomes(200);
      await late.next();
      pair.clients.push(late);
      // What was answered 503 is not among what comes.
      await pair.work();
    },
  );

  it('by SIGSTOP: broadcasts are answered 503 in time, and pings notice within 10 s', async () => {
    const redis = await startRedis();
    const pair = await startPair(redis);
    const start = performance.now();
    redis.pause();

    expect(await post(pair.one, 'a', { unsure: true })).toEqual(UNAVAILABLE);
    expect(performance.now() - start).toBeLessThan(3_000);
    for (const { becomes } of pair.nodes) await becomes(503);
    expect(performance.now() - start).toBeLessThan(10_000);
    const late = await pair.two.connect();
    late.authenticate(sign({ channels: ['a'] }));
    await late.ping();

    redis.resume();
    for (const { becomes } of pair.nodes) await becomes(200);
    await late.next();
    expect(await post(pair.one, 'a', { fence: true })).toEqual(success(3));
    for (const client of [...pair.clients, late]) {
      // It may have come before: Redis does what it was told once it goes on.
      let message = await client.next();
      if (JSON.stringify(message) === '{"unsure":true}') message = await client.next();
      expect(message).toEqual({ fence: true });
    }
  });

  it.each(['pubsub', 'normal'])(
    'by CLIENT KILL of %s connections: the node reconnects',
    async (type) => {
      const redis = await startRedis();
      const pair = await startPair(redis);
      await redis.command('CLIENT', 'KILL', 'TYPE', type);
      await pair.haveBeenLost();
      await pair.work();
    },
  );

  it('by client-output-buffer-limit: the node reconnects', async () => {
    const redis = await startRedis('--client-output-buffer-limit', 'pubsub 65536 0 0');
    const pair = await startPair(redis);
    // More than may wait for a subscriber: Redis cuts both, after it has counted them.
    expect(await post(pair.one, 'a', { text: 'x'.repeat(200_000) })).toEqual({
      status: 200,
      body: '{"message":"Success","deliveries":0,"partial":true}',
    });
    await pair.haveBeenLost();
    await pair.work();
  });

  it('closes websockets with 1013 only on nodes with ON_BROKER_LOSS=reconnect', async () => {
    const redis = await startRedis();
    const pair = await startPair(redis, { ON_BROKER_LOSS: 'reconnect' });
    const keeper = await startNode(redis, { ON_BROKER_LOSS: 'keep' });
    await keeper.becomes(200);
    const kept = await (await keeper.connect()).subscribe('a');

    await redis.kill('SIGKILL');

    for (const client of pair.clients.splice(0)) {
      expect(await client.closed).toEqual({ code: 1013, reason: 'Try again later' });
    }
    await kept.ping();
    await redis.start();
    for (const { becomes } of [...pair.nodes, keeper]) await becomes(200);
    pair.clients.push(kept, await (await pair.one.connect()).subscribe('a'));
    await pair.work();
  });

  it('answers no broadcast with 200 that was not published', async () => {
    const redis = await startRedis();
    const [node] = await startNodes(redis, 1);
    const client = await (await node.connect()).subscribe('a');
    const sent: number[] = [];
    const refused = new Set<number>();
    let last = 0;
    const publish = async () => {
      last += 1;
      const n = last;
      const { status, body } = await post(node, 'a', { n });
      // Its only subscriber is never away: a success without it would be none.
      if (status === 200 && !body.includes('partial')) {
        expect(body).toBe(success(1).body);
        sent.push(n);
      } else {
        refused.add(n);
      }
    };
    const publishUntil = async (isEnough: () => boolean) => {
      while (!isEnough()) await Promise.all([publish(), publish(), publish(), publish()]);
    };

    for (let round = 0; round < 4; round += 1) {
      const successes = sent.length + 20;
      await publishUntil(() => sent.length >= successes);
      const killing = redis.kill('SIGKILL');
      const refusals = refused.size + 8;
      await publishUntil(() => refused.size >= refusals);
      await killing;
      const starting = redis.start();
      const later = sent.length + 20;
      await publishUntil(() => sent.length >= later);
      await starting;
    }

    await node.broadcast('a', { n: 'fence' });
    const received: unknown[] = [];
    for (let n: unknown; n !== 'fence'; received.push(n)) {
      ({ n } = (await client.next()) as { n: unknown });
    }
    expect(received).toEqual([...new Set(received)]);
    expect(received).toEqual(expect.arrayContaining(sent));
  });
});

describe('Redis that is at its limits', () => {
  it('delivers broadcasts at maxmemory', async () => {
    const redis = await startRedis('--maxmemory', '100kb', '--maxmemory-policy', 'noeviction');
    await expect(redis.command('SET', 'key', 'value')).rejects.toThrow('OOM');
    const pair = await startPair(redis);
    await pair.work();
    await expect(redis.command('SET', 'key', 'value')).rejects.toThrow('OOM');
  });
});

describe('one Redis', () => {
  /** Neither node has the broadcasts of the other. */
  async function expectSeparate(one: Node, two: Node) {
    const mine = await (await one.connect()).subscribe('a');
    const theirs = await (await two.connect()).subscribe('a');
    expect(await post(one, 'a', { n: 1 })).toEqual(success(1));
    expect(await post(two, 'a', { n: 2 })).toEqual(success(1));
    expect(await mine.next()).toEqual({ n: 1 });
    expect(await theirs.next()).toEqual({ n: 2 });
  }

  it('serves two installations that differ in BROKER_PREFIX', async () => {
    const redis = await startRedis();
    const [one] = await startNodes(redis, 1, { BROKER_PREFIX: 'one:' });
    const [two] = await startNodes(redis, 1, { BROKER_PREFIX: 'two:' });
    await expectSeparate(one, two);
    for (const node of [one, two]) {
      expect(await node.stats()).toEqual({ deliveries: 2, connected: 1 });
    }
    expect(await redis.command('PUBSUB', 'CHANNELS', 'one:*')).toContain('one:channel:a');
  });

  it('serves two installations that differ in the number of their database', async () => {
    const redis = await startRedis();
    const one = await startNode({ url: `${redis.url}/1` });
    const two = await startNode({ url: `${redis.url}/2` });
    for (const node of [one, two]) await node.becomes(200);
    await expectSeparate(one, two);
  });

  it('makes every answer partial while another program subscribes to the topics of nodes', async () => {
    const redis = await startRedis();
    const pair = await startPair(redis);
    const observer = await createClient({ url: redis.url }).connect();
    try {
      await observer.pSubscribe('*', () => {});
      expect(await post(pair.one, 'a', { n: 1 })).toEqual({
        status: 200,
        body: '{"message":"Success","deliveries":2,"partial":true}',
      });
      for (const client of pair.clients) expect(await client.next()).toEqual({ n: 1 });
    } finally {
      observer.destroy();
    }
    while (String(await redis.command('PUBSUB', 'NUMPAT')) !== '0');
    await pair.work();
  });
});
