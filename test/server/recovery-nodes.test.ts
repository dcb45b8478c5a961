import { expect, it, onTestFinished, vi } from 'vitest';
import { MemoryHistory } from '../../src/broker/history-memory.ts';
import { isHealthy } from '../support/broker-suite.ts';
import type { TestClient } from '../support/client.ts';
import { FakeCluster } from '../support/fake-cluster.ts';
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

/** Authenticates as a client that asks for positions. */
function ask(client: TestClient, channels: readonly string[], since: string | null): TestClient {
  return client.send({ event: 'authenticate', data: sign({ channels }), since });
}

async function nextData(client: TestClient): Promise<Record<string, unknown>> {
  return JSON.parse(JSON.parse(await client.nextText()).data);
}

/** The position in the answer to a ping; undefined when it has none. */
async function pong(client: TestClient): Promise<string | undefined> {
  const { event, data } = (await client.send({ event: 'ping' }).next()) as Record<string, string>;
  expect(event).toBe('pong');
  return data === undefined ? undefined : JSON.parse(data).position;
}

async function positionOf({ url }: TestServer): Promise<string> {
  return ((await (await fetch(`${url}/position`)).json()) as { position: string }).position;
}

it('gives a client that comes back to another node what it missed, and then what is live', async () => {
  const { nodes } = await startNodes();
  const client = ask(await nodes[0].connect(), ['a', 'b'], null);
  await client.next();
  const { position } = await nextData(client);
  client.socket.terminate();
  await nodes[1].broadcast('a', { n: 1 });
  await nodes[0].broadcast('b', { n: 2 });

  const again = ask(await nodes[1].connect(), ['b', 'a'], position as string);
  expect(await nextData(again)).toEqual({ channel: 'b', recovered: true, missed: 1 });
  expect(await nextData(again)).toEqual({ channel: 'a', recovered: true, missed: 1, position });
  expect(await again.next()).toMatchObject({ channel: 'a', data: { n: 1 } });
  expect(await again.next()).toMatchObject({ channel: 'b', data: { n: 2 } });
  expect(await nodes[0].broadcast('a', { n: 3 })).toBe(1);
  expect(await again.next()).toMatchObject({ channel: 'a', data: { n: 3 } });
  await pong(again);
  expect(again.waiting).toBe(0);
});

it('loses and repeats nothing while broadcasts are posted and clients hop between nodes', async () => {
  const { nodes } = await startNodes();
  const first = ask(await nodes[0].connect(), ['a'], null);
  let { position } = (await nextData(first)) as { position: string };
  first.socket.terminate();
  const total = 100;
  const publish = async () => {
    for (let n = 0; n < total; n += 1) await nodes[n % 2]?.broadcast('a', { n });
  };
  const publishing = publish();
  const received: number[] = [];
  for (let hop = 0; received.length < total; hop += 1) {
    const client = ask(await (nodes[hop % 2] as TestServer).connect(), ['a'], position);
    const confirmed = await nextData(client);
    expect(confirmed['recovered']).toBe(true);
    position = confirmed['position'] as string;
    const rest = Math.min(hop % 20, total - received.length);
    for (let n = 0; n < rest; n += 1) {
      const frame = (await client.next()) as { position: string; data: { n: number } };
      received.push(frame.data.n);
      position = frame.position;
    }
    client.socket.terminate();
  }
  await publishing;
  expect(received).toEqual(Array.from({ length: total }, (_, n) => n));
});

it('moves the cursor of quiet channels with every tick, on every node', async () => {
  const { cluster, nodes } = await startNodes();
  const client = ask(await nodes[1].connect(), ['quiet'], null);
  const { position } = await nextData(client);
  expect(await pong(client)).toBe(position);
  await nodes[0].broadcast('busy', { n: 1 });
  cluster.tick();
  const before = await positionOf(nodes[1]);
  while ((await positionOf(nodes[1])) === position);
  const later = await pong(client);
  expect(later && later > String(position)).toBe(true);
  expect(before >= String(position)).toBe(true);
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
  const client = ask(await nodes[0].connect(), ['a'], null);
  let { position } = (await nextData(client)) as { position: string };
  const broadcasts = Array.from({ length: 1_000 }, (_, n) => ({
    channel: 'a',
    message: { n },
  }));
  const token = sign({ broadcasts });
  const posted = nodes[1].post(JSON.stringify({ token }));
  let n = 0;
  let between = 0;
  client.send({ event: 'ping' });
  while (n < broadcasts.length) {
    const frame = (await client.next()) as Record<string, unknown>;
    if (frame['event'] === 'pong') {
      const named = frame['data'] && JSON.parse(String(frame['data'])).position;
      expect(named).toBe(position);
      if (n > 0) between += 1;
      client.send({ event: 'ping' });
      continue;
    }
    expect(frame['data']).toMatchObject({ n });
    position = String(frame['position']);
    n += 1;
  }
  expect(await (await posted).json()).toMatchObject({ deliveries: 1_000, position });
  expect(between).toBeGreaterThan(5);
});

it('closes positioned connections at the loss of the bus, which receive nothing more', async () => {
  const { buses, nodes } = await startNodes();
  const plain = await (await nodes[0].connect()).subscribe('a');
  const client = ask(await nodes[0].connect(), ['a'], null);
  const { position } = await nextData(client);
  // It has asked and is not answered yet.
  const joining = ask(await nodes[0].connect(), ['a'], position as string);
  while ((await nodes[0].stats()).connected < 2);

  buses[0].lose();
  expect(await client.closed).toEqual({ code: 1013, reason: 'Try again later' });
  await nodes[1].broadcast('a', { n: 'lost here' });
  buses[0].regain();
  await isHealthy(nodes[0]);
  await nodes[1].broadcast('a', { n: 'after' });

  let last: unknown;
  while ((last as { n: string } | undefined)?.n !== 'after') last = await plain.next();
  expect(client.waiting).toBe(0);
  const again = ask(await nodes[0].connect(), ['a'], position as string);
  for (const each of [again, joining]) {
    const confirmed = await nextData(each);
    if (each === again) expect(confirmed).toMatchObject({ recovered: true, missed: 2, position });
    else expect(confirmed).toMatchObject({ recovered: true });
    if (each === joining && confirmed['missed'] === 0) continue;
    expect(await each.next()).toMatchObject({ data: { n: 'lost here' } });
    expect(await each.next()).toMatchObject({ data: { n: 'after' } });
  }
});
