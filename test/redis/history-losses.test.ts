import { describe, expect, it } from 'vitest';
import type { RedisServer } from '../support/redis.ts';
import { type Node, startNode, startNodes, startRedis } from './nodes.ts';
import { PositionedClient } from './positioned-client.ts';
import { SlowLink } from './slow-link.ts';

const KEPT = { HISTORY: 'redis', HISTORY_MESSAGES: '1000' };
const LOST = /broker unavailable/;
const BACK = /broker available/;
const SUSPENDED = { code: 1013, reason: 'Try again later' };
const numbers = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, n) => ({ n: n + from }));

/*
What holds the bus together was taken out once, piece by piece. What failed then, here or in history.test.ts; T: in
`npm run torture -- --nodes 3` as well, with what it found there:

| taken out                                                     | failed                                                         |
| ------------------------------------------------------------- | -------------------------------------------------------------- |
| positioned clients leave the hub at the loss, not at the 1013 | "hear nothing any more"; T: 211 messages lost in silence       |
| the closings are spread                                       | "hear nothing any more"                                        |
| the answer is handed out in the listener's stack              | "many clients that come back at once"; T: 43 lost, 71 doubled  |
| another master is a loss                                      | "after a failover that kept the connections"                   |
| ticks move the position                                       | "moves the position of quiet channels"                         |
| refused writes are no loss                                    | "refuses broadcasts whole"                                     |
| refused writes make the broker unavailable                    | "refuses broadcasts whole"                                     |
| what Redis must have is looked at                             | "may evict keys", "has INFO renamed", "forbids info"           |
| commands are tried when a node connects                       | "forbids pexpire" (and others), "refuses broadcasts whole"     |
*/

async function connectMany(nodes: readonly Node[], count: number): Promise<PositionedClient[]> {
  const clients = Array.from({ length: count }, () => new PositionedClient('a'));
  await Promise.all(clients.map((client, n) => client.connect(nodes[n % nodes.length] as Node)));
  return clients;
}

/** Broadcasts, again and again while it is refused. */
async function insist(node: Node, message: unknown): Promise<void> {
  for (;;) {
    const isDone = await node.broadcast('a', message).then(
      () => true,
      () => false,
    );
    if (isDone) return;
  }
}

describe('positioned clients of a node that loses Redis', () => {
  it('hear nothing any more and are closed with 1013, spread over DRAIN_SECONDS', async () => {
    const redis = await startRedis();
    const [node] = await startNodes(redis, 1, { ...KEPT, DRAIN_SECONDS: '3' });
    const plain = await (await node.connect()).subscribe('a');
    const clients = await connectMany([node], 20);
    await node.broadcast('a', { n: 0 });
    for (const client of clients) expect(await client.next()).toEqual({ n: 0 });
    expect(await plain.next()).toEqual({ n: 0 });

    await redis.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await node.book.reads(LOST);
    const closedAt: number[] = [];
    for (const { client } of clients)
      void client.closed.then(() => closedAt.push(performance.now()));
    await node.book.reads(BACK);
    // All that are still there: most of them, for two seconds more.
    await insist(node, { n: 1 });
    expect(await plain.next()).toEqual({ n: 1 });
    for (const { client } of clients) client.send({ event: 'ping' });
    for (const { client } of clients) expect(await client.closed).toEqual(SUSPENDED);

    let pongs = 0;
    for (const { client } of clients) {
      pongs += client.waiting;
      while (client.waiting > 0) expect(await client.nextText()).toBe('{"event":"pong"}');
    }
    expect(pongs).toBeGreaterThan(0);
    expect(Math.max(...closedAt) - Math.min(...closedAt)).toBeGreaterThan(1_000);
    await plain.ping();

    // Redis itself knows everything, so nothing is lost.
    for (const client of clients) expect(await client.connect(node)).toEqual([1]);
    for (const client of clients) expect(await client.next()).toEqual({ n: 1 });
  });

  it('that were about to be told what they missed are told when it is back', async () => {
    const redis = await startRedis();
    const link = await SlowLink.to(redis.port);
    const [node] = await startNodes(link, 1, KEPT);
    const client = new PositionedClient('a');
    await client.connect(node);
    await client.cut();
    await node.broadcast('a', { n: 0 });
    // The answer to its request, the second one.
    link.holdFrom('d 2 ');
    const connecting = client.connect(node);
    await link.holds();
    await redis.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await redis.command('CLIENT', 'KILL', 'TYPE', 'normal');
    link.drop();
    await node.book.reads(LOST);
    expect(await connecting).toEqual([1]);
    await insist(node, { n: 1 });
    expect(await client.nextMany(2)).toEqual(numbers(0, 2));
  });
});

describe('positioned clients come back and have missed nothing', () => {
  it('after CLIENT KILL of the connection of one node', async () => {
    const redis = await startRedis();
    const [one] = await startNodes(redis, 1, KEPT);
    const clients = await connectMany([one], 5);
    const [two] = await startNodes(redis, 1, KEPT);
    const others = await connectMany([two], 2);
    const list = String(await redis.command('CLIENT', 'LIST', 'TYPE', 'pubsub'));
    await redis.command('CLIENT', 'KILL', 'ID', /id=(\d+)/.exec(list)?.[1] ?? '');
    for (let n = 0; n < 10; n += 1) await two.broadcast('a', { n });
    for (const { client } of clients) expect(await client.closed).toEqual(SUSPENDED);
    await one.becomes(200);
    for (const [n, client] of clients.entries()) {
      const [missed] = await client.connect(n % 2 === 0 ? one : two);
      expect(missed).toEqual(expect.any(Number));
    }
    await one.broadcast('a', { n: 10 });
    for (const client of [...clients, ...others]) {
      expect(await client.nextMany(11)).toEqual(numbers(0, 11));
    }
    expect(two.book.text).not.toMatch(LOST);
  });

  it('after a node was too slow for what Redis had to send it', async () => {
    const redis = await startRedis('--client-output-buffer-limit', 'pubsub 100kb 0 0');
    const nodes = await startNodes(redis, 2, { ...KEPT, MAX_BUFFERED_BYTES: '8388608' });
    const clients = await connectMany(nodes, 4);
    const padding = 'x'.repeat(300_000);
    const posting = nodes[0].broadcast('a', { n: 0, padding }).catch(() => {});
    for (const { client } of clients) expect(await client.closed).toEqual(SUSPENDED);
    await posting;
    await redis.command('CONFIG', 'SET', 'client-output-buffer-limit', 'pubsub 0 0 0');
    for (const { becomes } of nodes) await becomes(200);
    for (const client of clients) {
      expect(await client.connect(nodes[1] as Node)).toEqual([1]);
      expect(await client.next()).toEqual({ n: 0, padding });
    }
  });

  it('after SCRIPT FLUSH, which nobody notices', async () => {
    const redis = await startRedis();
    const nodes = await startNodes(redis, 2, KEPT);
    const [stayed, gone] = (await connectMany(nodes, 2)) as [PositionedClient, PositionedClient];
    await gone.cut();
    for (let n = 0; n < 5; n += 1) {
      await redis.command('SCRIPT', 'FLUSH');
      await nodes[0].broadcast('a', { n });
    }
    await redis.command('SCRIPT', 'FLUSH');
    expect(await gone.connect(nodes[0])).toEqual([5]);
    for (const client of [stayed, gone]) expect(await client.nextMany(5)).toEqual(numbers(0, 5));
    for (const { book } of nodes) expect(book.text).not.toMatch(LOST);
  });
});

describe('positioned clients come back and are told that they may have missed something', () => {
  it.each([
    ['that keeps nothing on disk', []],
    ['that keeps everything on disk', ['--appendonly', 'yes', '--appendfsync', 'always']],
  ])('after a restart of a Redis %s', async (_, args) => {
    const redis = await startRedis(...args);
    const nodes = await startNodes(redis, 2, KEPT);
    const clients = await connectMany(nodes, 4);
    await nodes[0].broadcast('a', { n: 0 });
    for (const client of clients) expect(await client.next()).toEqual({ n: 0 });
    await redis.kill('SIGKILL');
    for (const { client } of clients) expect(await client.closed).toEqual(SUSPENDED);
    await redis.start();
    for (const { becomes } of nodes) await becomes(200);
    await expectLostAndLive(clients, nodes);
  });

  it('after FLUSHALL, while those who stayed miss nothing', async () => {
    const redis = await startRedis();
    const nodes = await startNodes(redis, 2, KEPT);
    const [stayed, gone] = (await connectMany(nodes, 2)) as [PositionedClient, PositionedClient];
    await nodes[0].broadcast('a', { n: 0 });
    await gone.cut();
    await redis.command('FLUSHALL');
    await (nodes[1] as Node).broadcast('a', { n: 1 });
    expect(await stayed.nextMany(2)).toEqual(numbers(0, 2));
    await expectLostAndLive([gone], nodes);
    expect(await stayed.next()).toEqual({ n: 'live' });
    await stayed.cut();
    expect(await stayed.connect(nodes[1] as Node)).toEqual([0]);
  });

  it('after a failover that kept the connections', async () => {
    const redis = await startRedis();
    const nodes = await startNodes(redis, 2, { ...KEPT, HISTORY_SECONDS: '4' });
    const clients = await connectMany(nodes, 4);
    await redis.command('REPLICAOF', '127.0.0.1', '1');
    await redis.command('REPLICAOF', 'NO', 'ONE');
    for (const { client } of clients) expect(await client.closed).toEqual(SUSPENDED);
    for (const { becomes } of nodes) await becomes(200);
    await expectLostAndLive(clients, nodes);
  });

  it('after a replica was promoted in place of its master', async () => {
    const master = await startRedis('--repl-diskless-sync-delay', '0');
    const replica = await startRedis();
    await replica.command('REPLICAOF', '127.0.0.1', String(master.port));
    await isInSync(replica);
    const link = await SlowLink.to(master.port);
    const nodes = await startNodes(link, 2, KEPT);
    const clients = await connectMany(nodes, 4);
    await nodes[0].broadcast('a', { n: 0 });
    for (const client of clients) expect(await client.next()).toEqual({ n: 0 });
    link.leadTo(replica.port);
    await master.kill('SIGKILL');
    await replica.command('REPLICAOF', 'NO', 'ONE');
    for (const { client } of clients) expect(await client.closed).toEqual(SUSPENDED);
    for (const { becomes } of nodes) await becomes(200);
    expect(await replica.command('EXISTS', 'bifrost:history')).toBe(1);
    await expectLostAndLive(clients, nodes);
  });

  async function isInSync(replica: RedisServer): Promise<void> {
    while (!String(await replica.command('INFO', 'replication')).includes('master_link_status:up'));
  }

  /** They are told of the gap, and from then on have everything again. */
  async function expectLostAndLive(clients: readonly PositionedClient[], nodes: readonly Node[]) {
    for (const [n, client] of clients.entries()) {
      expect(await client.connect(nodes[n % nodes.length] as Node)).toEqual(['lost']);
    }
    const [first] = nodes as [Node];
    await first.broadcast('a', { n: 'live' });
    for (const client of clients) {
      expect(await client.next()).toEqual({ n: 'live' });
      await client.cut();
      expect(await client.connect(first)).toEqual([0]);
    }
  }
});

it('a node notices that what it publishes does not come back, while Redis answers', async () => {
  const redis = await startRedis();
  const link = await SlowLink.to(redis.port);
  const node = await startNode(link, { ...KEPT, HISTORY_SECONDS: '1' });
  await node.book.reads(BACK);
  link.holdFrom('bifrost:session:');
  await node.book.reads(/"error":"what this node publishes in Redis does not come back to it"/);
  await node.becomes(503);
  link.release();
  await node.book.reads(BACK);
});
