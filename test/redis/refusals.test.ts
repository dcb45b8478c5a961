import { describe, expect, it } from 'vitest';
import { sign } from '../support/tokens.ts';
import { type Node, startNode, startRedis } from './nodes.ts';

const UNAVAILABLE = { status: 503, body: '{"error":"Broker unavailable"}' };
const SUCCESS = { status: 200, body: '{"message":"Success","deliveries":1}' };
const BACK = /broker available/;

async function post(node: Node, message: unknown) {
  const response = await node.post(JSON.stringify({ token: sign({ channel: 'a', message }) }));
  return { status: response.status, body: await response.text() };
}

/** A Redis on which our user may do everything but what `rules` take away. */
async function startRedisWithout(...rules: string[]) {
  const user = ['--user', 'bifrost', 'on', '>secret', '~*', '&*', '+@all'];
  const redis = await startRedis(...user, ...rules);
  return { redis, url: `redis://bifrost:secret@127.0.0.1:${redis.port}` };
}

describe('Redis that refuses PUBLISH', () => {
  it('from the start is logged and not used until it accepts PUBLISH', async () => {
    const { redis, url } = await startRedisWithout('-publish');
    const node = await startNode({ url });
    await node.book.reads(
      /"level":50.*"error":"PUBLISH refused: NOPERM [^"]*publish.*Redis connection lost, reconnecting/,
    );
    expect(await node.health()).toEqual({
      status: 503,
      body: '{"status":"broker unavailable"}',
    });
    expect(await post(node, {})).toEqual(UNAVAILABLE);
    // Never once was it taken for one.
    expect(node.book.text).not.toMatch(BACK);

    await redis.command('ACL', 'SETUSER', 'bifrost', '+publish');

    await node.book.reads(BACK);
    const client = await (await node.connect()).subscribe('a');
    expect(await post(node, { n: 1 })).toEqual(SUCCESS);
    expect(await client.next()).toEqual({ n: 1 });
  });

  it('later on counts as lost until it accepts PUBLISH again', async () => {
    const { redis, url } = await startRedisWithout();
    const node = await startNode({ url });
    await node.book.reads(BACK);
    const client = await (await node.connect()).subscribe('a');
    await redis.command('ACL', 'SETUSER', 'bifrost', '-publish');

    expect(await post(node, { secret: true })).toEqual(UNAVAILABLE);
    await node.book.reads(/"error":"PUBLISH refused: NOPERM/);
    await node.becomes(503);

    await redis.command('ACL', 'SETUSER', 'bifrost', '+publish');
    await node.book.reads(BACK);
    expect(await post(node, { n: 1 })).toEqual(SUCCESS);
    expect(await client.next()).toEqual({ n: 1 });
  });

  it('because of rename-command is logged, without the message', async () => {
    const redis = await startRedis('--rename-command', 'PUBLISH', 'announce');
    const node = await startNode(redis);
    await node.book.reads(/"error":"PUBLISH refused: ERR unknown command 'PUBLISH'"/);
    expect(await post(node, {})).toEqual(UNAVAILABLE);
    expect(node.book.text).not.toMatch(BACK);
  });
});

describe('Redis that refuses UNSUBSCRIBE', () => {
  it('counts as lost, because PUBLISH would count a node that no longer listens', async () => {
    const { redis, url } = await startRedisWithout('-unsubscribe');
    const node = await startNode({ url });
    await node.book.reads(BACK);
    const client = await (await node.connect()).subscribe('a');
    client.socket.terminate();

    await node.book.reads(/"error":"UNSUBSCRIBE refused: NOPERM/);
    await node.book.reads(BACK);
    expect(await redis.command('PUBSUB', 'NUMSUB', 'bifrost:channel:a')).toEqual([
      'bifrost:channel:a',
      0,
    ]);
  });
});

describe('a replica', () => {
  /** A pair of real servers: what is published on the master reaches the replica, and not the other way round. */
  async function startReplication(...rules: string[]) {
    const { redis: master, url } = await startRedisWithout(...rules);
    const { redis: other, url: otherUrl } = await startRedisWithout(...rules);
    return { master, url, other, otherUrl };
  }

  it('is logged and not used until it is promoted', async () => {
    const { master, other, otherUrl } = await startReplication();
    await other.command('REPLICAOF', '127.0.0.1', String(master.port));
    const node = await startNode({ url: otherUrl });
    await node.book.reads(
      /"level":50.*"error":"REDIS_URL leads to a replica[^"]*".*Redis connection lost, reconnecting/,
    );
    expect(await post(node, {})).toEqual(UNAVAILABLE);
    expect(await node.health()).toMatchObject({ status: 503 });
    expect(node.book.text).not.toMatch(/Redis connected|broker available/);

    await other.command('REPLICAOF', 'NO', 'ONE');

    await node.book.reads(BACK);
    const client = await (await node.connect()).subscribe('a');
    expect(await post(node, { n: 1 })).toEqual(SUCCESS);
    expect(await client.next()).toEqual({ n: 1 });
  });

  it.each([
    ['ROLE', []],
    ['INFO, where ROLE is forbidden', ['-role']],
  ])('that was a master is noticed by %s, though the connection survives', async (_, rules) => {
    const { master, url, other } = await startReplication(...rules);
    const node = await startNode({ url });
    await node.book.reads(BACK);
    const client = await (await node.connect()).subscribe('a');

    await master.command('REPLICAOF', '127.0.0.1', String(other.port));

    await node.book.reads(/"error":"REDIS_URL leads to a replica/);
    expect(await post(node, { lost: true })).toEqual(UNAVAILABLE);
    expect(await node.health()).toMatchObject({ status: 503 });
    await client.ping();
    expect(client.waiting).toBe(0);
    expect(node.book.text).not.toContain('neither ROLE');

    await master.command('REPLICAOF', 'NO', 'ONE');
    await node.book.reads(BACK);
    expect(await post(node, { n: 1 })).toEqual(SUCCESS);
    expect(await client.next()).toEqual({ n: 1 });
  });

  it('cannot be recognized without permission for the command, which is logged once', async () => {
    const { redis, url } = await startRedisWithout('-role', '-info');
    const node = await startNode({ url });
    await node.book.reads(/"level":40.*Redis allows neither ROLE nor INFO replication/);
    await node.book.reads(BACK);
    const client = await (await node.connect()).subscribe('a');
    await redis.command('CLIENT', 'KILL', 'TYPE', 'normal');
    await node.book.reads(BACK);
    expect(await post(node, { n: 1 })).toEqual(SUCCESS);
    expect(await client.next()).toEqual({ n: 1 });
    expect(node.book.text.match(/neither ROLE/g)).toHaveLength(1);
  });
});

describe('Redis to which another program publishes', () => {
  it('drops texts that nodes cannot have sent, and delivers the rest', async () => {
    const redis = await startRedis();
    const node = await startNode(redis, { METRICS: 'true' });
    await node.book.reads(BACK);
    const client = await (await node.connect()).subscribe('a');
    const topics = (await redis.command('PUBSUB', 'CHANNELS')) as string[];
    expect(topics).toHaveLength(3);
    for (const topic of topics) {
      for (const text of ['hello', '', '1 NaN']) {
        expect(await redis.command('PUBLISH', topic, text)).toBe(1);
      }
    }
    await node.book.reads(/"level":40.*"topic":"bifrost:.*another program/);

    expect(await post(node, { n: 1 })).toEqual(SUCCESS);
    expect(await client.next()).toEqual({ n: 1 });
    expect(await (await fetch(`${node.url}/metrics`)).text()).toContain(
      '\nbifrost_broker_malformed_texts_total 9\n',
    );
    expect(await node.stats()).toEqual({ deliveries: 2, connected: 1 });
  });
});
