import { expect, it, onTestFinished, vi } from 'vitest';
import { MemoryHistory } from '../../src/broker/history-memory.ts';
import { isHealthy } from '../support/broker-suite.ts';
import { FakeCluster } from '../support/fake-cluster.ts';
import { PositionedClient } from '../support/positioned-client.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { sign } from '../support/tokens.ts';

const limits = { historyMessages: 1_000, historyMs: 300_000, historyBytes: 67_108_864 };

async function startNodes(env: Record<string, string> = {}) {
  const cluster = new FakeCluster(new MemoryHistory(limits));
  const buses = [cluster.join(), cluster.join()] as const;
  const start = (bus: (typeof buses)[0]) => startServer(env, undefined, { bus });
  const nodes = [await start(buses[0]), await start(buses[1])] as const;
  await Promise.all(nodes.map(isHealthy));
  return { cluster, buses, nodes };
}

async function positionOf({ url }: TestServer): Promise<string> {
  return ((await (await fetch(`${url}/position`)).json()) as { position: string }).position;
}

it('gives a client that comes back to another node what it missed, and then what is live', async () => {
  const { nodes } = await startNodes();
  const client = await PositionedClient.connect(nodes[0].port, ['a', 'b'], null);
  const position = await client.began();
  client.cut();
  await nodes[1].broadcast('a', { n: 1 });
  await nodes[0].broadcast('b', { n: 2 });

  const again = await PositionedClient.connect(nodes[1].port, ['b', 'a'], position);
  expect(await again.confirmed()).toEqual([
    { channel: 'b', recovered: true, missed: 1 },
    { channel: 'a', recovered: true, missed: 1, position },
  ]);
  expect(await again.next()).toMatchObject({ channel: 'a', data: { n: 1 } });
  expect(await again.next()).toMatchObject({ channel: 'b', data: { n: 2 } });
  expect(await nodes[0].broadcast('a', { n: 3 })).toBe(1);
  expect(await again.next()).toMatchObject({ channel: 'a', data: { n: 3 } });
  await again.ping();
  expect(again.client.waiting).toBe(0);
});

it('loses and repeats nothing while broadcasts are posted and clients hop between nodes', async () => {
  const { nodes } = await startNodes();
  const first = await PositionedClient.connect(nodes[0].port, ['a'], null);
  let position = await first.began();
  first.cut();
  const total = 100;
  const publish = async () => {
    for (let n = 0; n < total; n += 1) await nodes[n % 2]?.broadcast('a', { n });
  };
  const publishing = publish();
  const received: number[] = [];
  for (let hop = 0; received.length < total; hop += 1) {
    const client = await PositionedClient.connect(nodes[hop % 2]?.port ?? 0, ['a'], position);
    const [confirmation] = await client.confirmed();
    expect(confirmation?.recovered).toBe(true);
    position = confirmation?.position ?? '';
    const upTo = Math.min(received.length + (hop % 20), total);
    while (received.length < upTo) {
      const { data, position: reached = '' } = await client.next<{ n: number }>();
      received.push(data.n);
      position = reached;
    }
    client.cut();
  }
  await publishing;
  expect(received).toEqual(Array.from({ length: total }, (_, n) => n));
});

it('moves the cursor of quiet channels with every tick, on every node', async () => {
  const { cluster, nodes } = await startNodes();
  const client = await PositionedClient.connect(nodes[1].port, ['quiet'], null);
  const began = await client.began();
  expect(await client.ping()).toBe(began);
  expect(await positionOf(nodes[1])).toBe(began);
  await nodes[0].broadcast('busy', { n: 1 });
  // Nothing of that channel comes to this node.
  expect(await client.ping()).toBe(began);
  cluster.tick();
  while ((await positionOf(nodes[1])) === began);
  expect(String(await client.ping()) > began).toBe(true);
});

it('names no position in a pong that is behind a batch which is still handed out', async () => {
  // Each step of a batch takes a turn of the event loop of its own.
  let time = performance.now();
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => {
    time += 20;
    return time;
  });
  onTestFinished(() => clock.mockRestore());
  const { nodes } = await startNodes({ PING_INTERVAL_SECONDS: '80000' });
  const positioned = await PositionedClient.connect(nodes[0].port, ['a'], null);
  let position = await positioned.began();
  const { client } = positioned;
  // However busy the machine is: the nodes have as long as they need to confirm the batch.
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => {
    vi.useRealTimers();
  });
  const broadcasts = Array.from({ length: 1_000 }, (_, n) => ({ channel: 'a', message: { n } }));
  const posted = nodes[1].post(JSON.stringify({ token: sign({ broadcasts }) }));
  let n = 0;
  let between = 0;
  client.send({ event: 'ping' });
  while (n < broadcasts.length) {
    const frame = (await client.next()) as Record<string, unknown>;
    if (frame['event'] === 'pong') {
      expect(JSON.parse(String(frame['data'])).position).toBe(position);
      if (n > 0) between += 1;
      client.send({ event: 'ping' });
      continue;
    }
    expect(frame['data']).toEqual({ n });
    position = String(frame['position']);
    n += 1;
  }
  expect(await (await posted).json()).toMatchObject({ deliveries: 1_000, position });
  expect(between).toBeGreaterThan(5);
});

it('closes positioned connections at the loss of the bus, which receive nothing more', async () => {
  const { buses, nodes } = await startNodes();
  const plain = await (await nodes[0].connect()).subscribe('a');
  const client = await PositionedClient.connect(nodes[0].port, ['a'], null);
  const position = await client.began();

  buses[0].lose();
  expect(await client.client.closed).toEqual({ code: 1013, reason: 'Try again later' });
  // The first process has read nothing that would end its subscription yet.
  const lost = nodes[1].broadcast('a', { n: 1 });
  expect(await plain.next()).toEqual({ n: 1 });
  buses[0].regain();
  await isHealthy(nodes[0]);
  await nodes[1].broadcast('a', { n: 2 });
  expect(await plain.next()).toEqual({ n: 2 });
  expect(client.client.waiting).toBe(0);

  const again = await PositionedClient.connect(nodes[0].port, ['a'], position);
  expect(await again.confirmed()).toEqual([{ channel: 'a', recovered: true, missed: 2, position }]);
  for (const n of [1, 2]) expect(await again.next()).toMatchObject({ data: { n } });
  await lost;
});

it('keeps a connection whose answer is under way at the loss, and answers it afterwards', async () => {
  const { buses, nodes } = await startNodes();
  const plain = await (await nodes[0].connect()).subscribe('a');
  const first = await PositionedClient.connect(nodes[1].port, ['a'], null);
  const position = await first.began();
  await nodes[1].broadcast('a', { n: 1 });
  await plain.next();

  // The question is on its way when the bus is lost: it is answered to nobody.
  const recover = buses[0].recover.bind(buses[0]);
  const asked = new Promise<void>((resolve) => {
    buses[0].recover = async (id, request) => {
      buses[0].recover = recover;
      await recover(id, request);
      buses[0].lose();
      resolve();
    };
  });
  const joining = await PositionedClient.connect(nodes[0].port, ['a'], position);
  await asked;
  expect(await joining.ping()).toBeUndefined();
  buses[0].regain();
  expect(await joining.confirmed()).toEqual([
    { channel: 'a', recovered: true, missed: 1, position },
  ]);
  expect(await joining.next()).toMatchObject({ data: { n: 1 } });
});
