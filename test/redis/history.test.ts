import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { sign } from '../support/tokens.ts';
import { type Node, startNode, startNodes, startRedis } from './nodes.ts';
import { PositionedClient } from './positioned-client.ts';

const KEPT = { HISTORY: 'redis', HISTORY_MESSAGES: '1000' };
const BACK = /broker available/;
const numbers = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, n) => ({ n: n + from }));
const numberOf = (position: string | undefined) => Number(position?.slice(9));

async function post(node: Node, claims: object) {
  const response = await node.post(JSON.stringify({ token: sign(claims) }));
  return { status: response.status, body: await response.text() };
}

async function positionOf(node: Node): Promise<string> {
  const response = await fetch(`${node.url}/position`);
  expect(response.status).toBe(200);
  return ((await response.json()) as { position: string }).position;
}

describe('HISTORY=redis', () => {
  it('replays on any node what was published on any node', async () => {
    const nodes = await startNodes(await startRedis(), 3, KEPT);
    const [one, two, three] = nodes as [Node, Node, Node];
    const plain = await (await two.connect()).subscribe('a');
    const client = new PositionedClient('a', 'b');
    expect(await client.connect(one)).toEqual(['new', 'new']);
    await two.broadcast('a', { n: 0 });
    expect(await client.next()).toEqual({ n: 0 });
    await client.cut();
    for (let n = 1; n < 10; n += 1) {
      const node = [one, two, three][n % 3] as Node;
      await node.broadcast(n % 2 === 0 ? 'a' : 'b', { n });
    }
    expect(await client.connect(two)).toEqual([4, 5]);
    await three.broadcast('a', { n: 10 });
    expect(await client.nextMany(10)).toEqual(numbers(1, 11));
    await client.cut();
    expect(await client.connect(three)).toEqual([0, 0]);
    await one.broadcast('b', { n: 11 });
    expect(await client.next()).toEqual({ n: 11 });
    for (const n of [0, 2, 4, 6, 8, 10]) expect(await plain.nextText()).toBe(`{"n":${n}}`);
  });

  it('tells publishers the position of a batch, and again for a retry', async () => {
    const [one, two] = (await startNodes(await startRedis(), 2, KEPT)) as [Node, Node];
    const client = new PositionedClient('a', 'b');
    await client.connect(one);
    const batch = {
      broadcasts: [
        { channels: ['a', 'b'], message: { n: 0 } },
        { channel: 'a', message: { n: 1 }, history: false },
        { channel: 'b', message: { n: 2 } },
      ],
      jti: 'x',
    };
    const { body } = await post(two, batch);
    const { position } = JSON.parse(body);
    expect(body).toBe(
      `{"message":"Success","deliveries":4,"results":[{"deliveries":2},{"deliveries":1},{"deliveries":1}],"position":"${position}"}`,
    );
    expect((await post(one, batch)).body).toBe(`${body.slice(0, -1)},"duplicate":true}`);
    expect(await client.nextMany(4)).toEqual([{ n: 0 }, { n: 0 }, { n: 1 }, { n: 2 }]);
    expect(client.position).toBe(position);
    await client.cut();
    // What is not kept is not replayed.
    client.position = `${position.slice(0, 9)}${numberOf(position) - 4}`;
    expect(await client.connect(two)).toEqual([1, 2]);
  });

  it('replays at most 4 MiB at once, or Redis would end the connection of the node', async () => {
    const env = { ...KEPT, MAX_BUFFERED_BYTES: String(128 * 1_024 * 1_024) };
    const [node] = (await startNodes(await startRedis(), 1, env)) as [Node];
    const client = new PositionedClient('small', 'large');
    await client.connect(node);
    await client.cut();
    const text = 'x'.repeat(700_000);
    for (let n = 0; n < 5; n += 1) await node.broadcast('small', { text });
    for (let n = 0; n < 60; n += 1) await node.broadcast('large', { text });
    expect(await client.connect(node)).toEqual([5, 'lost']);
    expect(await client.nextMany(5)).toHaveLength(5);
  });

  it('moves the position of quiet channels with every tick', async () => {
    const [node] = await startNodes(await startRedis(), 1, { ...KEPT, HISTORY_SECONDS: '1' });
    const client = new PositionedClient('quiet');
    await client.connect(node);
    const first = numberOf(client.position ?? '');
    for (let position = first; position < first + 3_000_000; ) {
      const next = numberOf(await client.pong());
      expect(next).toBeGreaterThanOrEqual(position);
      position = next;
    }
    await client.cut();
    expect(await client.connect(node)).toEqual([0]);
    expect(numberOf(await positionOf(node))).toBeGreaterThan(first);
  });

  it('serves many clients that come back at once', async () => {
    const [one, two] = (await startNodes(await startRedis(), 2, KEPT)) as [Node, Node];
    const clients = Array.from({ length: 100 }, () => new PositionedClient('a'));
    await Promise.all(clients.map((client) => client.connect(one)));
    await Promise.all(clients.map((client) => client.cut()));
    for (let n = 0; n < 20; n += 1) await two.broadcast('a', { n });
    const more = (async () => {
      for (let n = 20; n < 60; n += 1) await one.broadcast('a', { n });
    })();
    await Promise.all(clients.map((client, n) => client.connect(n % 2 === 0 ? one : two)));
    await more;
    for (const client of clients) expect(await client.nextMany(60)).toEqual(numbers(0, 60));
  });
});

describe('nodes with other settings', () => {
  it('begin a new epoch: who comes back is told, and who stayed misses nothing', async () => {
    const redis = await startRedis();
    const [one] = await startNodes(redis, 1, KEPT);
    const [stayed, gone] = [new PositionedClient('a'), new PositionedClient('a')];
    await stayed.connect(one);
    await gone.connect(one);
    await gone.cut();
    await one.broadcast('a', { n: 0 });
    const [two] = await startNodes(redis, 1, { ...KEPT, HISTORY_SECONDS: '60' });
    await two.broadcast('a', { n: 1 });
    expect(await gone.connect(one)).toEqual(['lost']);
    await one.broadcast('a', { n: 2 });
    expect(await stayed.nextMany(3)).toEqual(numbers(0, 3));
    expect(await gone.next()).toEqual({ n: 2 });
    for (const client of [stayed, gone]) {
      await client.cut();
      expect(await client.connect(two)).toEqual([0]);
    }
  });

  it.each([
    ['a broadcast', { channel: 'a', message: { n: 1 } }],
    ['a batch', { broadcasts: [{ channel: 'a', message: { n: 1 } }] }],
  ])('hand out %s of one without a history without position, and warn', async (_, claims) => {
    const redis = await startRedis();
    const [one] = await startNodes(redis, 1, KEPT);
    const [two] = await startNodes(redis, 1);
    const client = new PositionedClient('a');
    await client.connect(one);
    const plain = await (await two.connect()).subscribe('a');
    expect((await post(one, { channel: 'a', message: { n: 0 }, history: false })).status).toBe(200);
    expect((await post(one, { channel: 'a', message: { n: 0 } })).status).toBe(200);
    expect(one.book.text).not.toMatch(/without HISTORY=redis/);
    for (const each of [0, 1, 2]) {
      expect((await post(two, claims)).body, `${each}`).toContain('"deliveries":2');
    }
    await one.book.reads(/"level":40.*without HISTORY=redis/);
    expect(await client.nextMany(2)).toEqual([{ n: 0 }, { n: 0 }]);
    for (let n = 0; n < 3; n += 1) {
      expect(await client.client.nextText()).toBe(
        '{"event":"message","channel":"a","data":{"n":1}}',
      );
    }
    for (const n of [0, 0, 1, 1, 1]) expect(await plain.next()).toEqual({ n });
    expect(one.book.text.match(/without HISTORY=redis/g)).toHaveLength(1);
    expect(two.book.text).not.toMatch(/without HISTORY=redis/);
  });
});

describe('Redis that is out of memory', () => {
  it('refuses broadcasts whole and who asks for positions; whoever is there stays', async () => {
    const redis = await startRedis();
    const [one, two] = (await startNodes(redis, 2, { ...KEPT, HISTORY_SECONDS: '4' })) as [
      Node,
      Node,
    ];
    const plain = await (await one.connect()).subscribe('a');
    const client = new PositionedClient('a');
    await client.connect(two);
    await one.broadcast('a', { n: 0 });
    expect(await client.next()).toEqual({ n: 0 });
    await redis.command('CONFIG', 'SET', 'maxmemory', '1');

    for (const claims of [
      { channel: 'a', message: { n: 1 } },
      { channel: 'a', message: { n: 1 }, history: false },
      { broadcasts: [{ channels: ['a', 'b'], message: { n: 1 } }], jti: 'x' },
    ]) {
      expect(await post(one, claims)).toEqual({
        status: 503,
        body: '{"error":"Broker unavailable"}',
      });
    }
    for (const node of [one, two]) {
      await node.becomes(503);
      await node.book.reads(/"level":50.*OOM.*refusing broadcasts with 503/);
    }
    const late = new PositionedClient('a');
    expect(await (await late.ask(two)).closed).toEqual({ code: 1013, reason: 'Try again later' });
    // So is a node that connects now.
    const three = await startNode(redis, { ...KEPT, HISTORY_SECONDS: '4' });
    await three.book.reads(/refusing broadcasts with 503/);
    await (await three.connect()).subscribe('a');
    expect((await three.health()).status).toBe(503);
    // What is there stays, and joins without positions go on.
    expect(await client.pong()).toBeDefined();
    const other = await (await two.connect()).subscribe('a');
    await redis.command('CONFIG', 'SET', 'maxmemory', '0');

    for (const node of [one, two]) {
      await node.becomes(200);
      await node.book.reads(/takes writes again/);
      expect(node.book.text).not.toMatch(/connection lost|broker unavailable/);
    }
    expect(
      await post(two, { broadcasts: [{ channels: ['a', 'b'], message: { n: 1 } }], jti: 'x' }),
    ).toMatchObject({
      status: 200,
    });
    expect(await client.next()).toEqual({ n: 1 });
    for (const each of [other, plain]) {
      if (each === plain) expect(await each.next()).toEqual({ n: 0 });
      expect(await each.next()).toEqual({ n: 1 });
    }
    await client.cut();
    expect(await client.connect(one)).toEqual([0]);
  });
});

describe('a Redis that cannot keep a history', () => {
  it.each([
    [
      'may evict keys',
      ['--maxmemory', '100mb', '--maxmemory-policy', 'volatile-lru'],
      'noeviction',
    ],
    ['has INFO renamed', ['--rename-command', 'INFO', 'report'], 'INFO'],
  ])('because it %s is refused', async (_, args, reason) => {
    const redis = await startRedis(...args);
    const node = await startNode(redis, KEPT);
    await node.book.reads(new RegExp(`"level":60.*HISTORY=redis needs[^"]*${reason}`));
    expect(node.book.text).not.toMatch(/Redis connected/);
  });

  it.each(['evalsha', 'info', 'pexpire', 'lpop', 'rpush'])(
    'because it forbids %s counts as lost, and the log says which',
    async (command) => {
      const rules = ['--user', 'bifrost', 'on', '>secret', '~*', '&*', '+@all'];
      const redis = await startRedis(...rules);
      const node = await startNode({ url: `redis://bifrost:secret@127.0.0.1:${redis.port}` }, KEPT);
      await node.book.reads(BACK);
      await redis.command('ACL', 'SETUSER', 'bifrost', `-${command}`);
      await redis.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
      const reason =
        command === 'info' ? 'HISTORY=redis needs the command INFO' : 'EVALSHA refused';
      await node.book.reads(new RegExp(`"error":"${reason}.*connection lost`));
      expect((await post(node, { channel: 'a', message: {} })).status).toBe(503);
      await redis.command('ACL', 'SETUSER', 'bifrost', `+${command}`);
      await node.book.reads(BACK);
      expect((await post(node, { channel: 'a', message: {} })).status).toBe(200);
    },
  );

  it('needs no commands but those that the docs name', async () => {
    const page = await readFile(new URL('../../docs/recovery.md', import.meta.url), 'utf8');
    const [, list = ''] = /Allow the user of `REDIS_URL` (`EVALSHA`.*?) on keys/s.exec(page) ?? [];
    const commands = [...list.matchAll(/`(\w+)`/g)].map(([, name]) => `+${name?.toLowerCase()}`);
    const others = [
      '+publish',
      '+subscribe',
      '+unsubscribe',
      '+ping',
      '+role',
      '+hello',
      '+client',
    ];
    const user = ['--user', 'bifrost', 'on', '>secret', '~bifrost:*', '&bifrost:*', ...others];
    const redis = await startRedis(...user, ...commands);
    const url = `redis://bifrost:secret@127.0.0.1:${redis.port}`;
    const [node] = await startNodes({ url }, 1, { ...KEPT, HISTORY_MESSAGES: '2' });
    const client = new PositionedClient('a');
    await client.connect(node);
    await client.cut();
    expect((await post(node, { channel: 'a', message: { n: 0 } })).status).toBe(200);
    const batch = { broadcasts: [{ channel: 'a', message: { n: 1 } }], jti: 'x' };
    expect((await post(node, batch)).body).not.toContain('duplicate');
    expect((await post(node, batch)).body).toContain('"deliveries":0}],"position":');
    expect(await client.connect(node)).toEqual([2]);
    expect(await client.nextMany(2)).toEqual(numbers(0, 2));
    await client.cut();
    const broadcasts = [{ channels: ['a', 'a', 'a'], message: {} }];
    expect((await post(node, { broadcasts })).status).toBe(200);
    expect(await client.connect(node)).toEqual(['lost']);
  });

  it('without a limit of its memory never evicts, whatever its policy', async () => {
    const redis = await startRedis('--maxmemory-policy', 'allkeys-lru');
    const [node] = await startNodes(redis, 1, KEPT);
    await redis.command('CONFIG', 'SET', 'maxmemory', '100mb');
    await redis.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
    // A server that is in use waits until it is mended.
    await node.book.reads(/"error":"HISTORY=redis needs maxmemory-policy noeviction/);
    await redis.command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
    await node.book.reads(/broker available/);
  });
});
