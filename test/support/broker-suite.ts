import { expect, it } from 'vitest';
import { withoutPosition } from './positions.ts';
import type { TestServer } from './server.ts';
import { sign, signText } from './tokens.ts';

/** Resolves once the node says that broadcasts get through. */
export async function isHealthy({ url }: TestServer): Promise<void> {
  while ((await fetch(`${url}/healthz`)).status !== 200);
}

/** What every broker must do, whatever it is made of. Declares tests; `start` makes nodes for each. */
export function behavesAsBroker(start: () => Promise<readonly TestServer[]>): void {
  const at = <T>(items: readonly T[], index: number): T => items[index % items.length] as T;

  it('hands a broadcast to every subscriber on every node and counts them all', async () => {
    const nodes = await start();
    const clients = [];
    for (let n = 0; n < 7; n += 1) {
      clients.push(await (await at(nodes, n).connect()).subscribe('a', `own:${n}`));
    }

    for (const node of nodes) {
      expect(await node.broadcast('a', { n: 1 })).toBe(7);
      for (const client of clients) expect(await client.next()).toEqual({ n: 1 });
      expect(await node.broadcast('own:3', { n: 3 })).toBe(1);
      expect(await at(clients, 3).next()).toEqual({ n: 3 });
      expect(await node.broadcast('nobody', {})).toBe(0);
    }
    for (const client of clients) {
      await client.ping();
      expect(client.waiting).toBe(0);
    }
  });

  it('carries any channel name and any message as it was signed', async () => {
    const nodes = await start();
    const message = '{"a": 1.0, "b c":"d e", "id":9007199254740993, "x":"\\u0041 \\n 🌈"}';
    for (const channel of ['', ' ', 'a b', '__proto__', 'stats', 'кана́л\n🌈', 'x'.repeat(255)]) {
      const client = await (await at(nodes, 1).connect()).subscribe(channel);
      const claims = `{"channel":${JSON.stringify(channel)},"message":${message}}`;
      const response = await at(nodes, 0).post(JSON.stringify({ token: signText(claims) }));
      expect(await response.text()).toBe('{"message":"Success","deliveries":1}');
      expect(await client.nextText()).toBe(message);
    }
  });

  it('has one order, the same for every socket and across channels', async () => {
    const nodes = await start();
    const clients = [];
    for (let n = 0; n < 4; n += 1) {
      clients.push(await (await at(nodes, n).connect()).subscribe('a', 'b'));
    }
    const posts = [];
    for (let n = 0; n < 200; n += 1) {
      const post = at(nodes, n * 7).broadcast(n % 3 === 0 ? 'a' : 'b', { n });
      // Some overlap, some are answered first.
      if (n % 5 === 0) await post;
      posts.push(post);
    }
    await Promise.all(posts);

    const orders = [];
    for (const client of clients) {
      const order = [];
      for (let n = 0; n < 200; n += 1) order.push(((await client.next()) as { n: number }).n);
      orders.push(order);
    }
    for (const order of orders) expect(order).toEqual(orders[0]);
    // Each fifth was answered before any later one was posted.
    const order = orders[0] ?? [];
    for (let n = 0; n < 200; n += 5) {
      for (const later of order.slice(0, order.indexOf(n))) expect(later).toBeLessThan(n);
    }
  });

  it('confirms a subscription only when no later broadcast can be missed', async () => {
    const nodes = await start();
    for (let n = 0; n < 50; n += 1) {
      const client = await (await at(nodes, n).connect()).subscribe(`fresh:${n}`);
      expect(await at(nodes, n + 1).broadcast(`fresh:${n}`, { n })).toBe(1);
      expect(await client.next()).toEqual({ n });
    }
  });

  it('survives channels that are left and joined in quick turn', async () => {
    const nodes = await start();
    for (let n = 0; n < 30; n += 1) {
      const [first, second] = await Promise.all([at(nodes, 0).connect(), at(nodes, 0).connect()]);
      await first.subscribe('a');
      first.socket.terminate();
      await second.subscribe('a');
      expect([1, 2]).toContain(await at(nodes, 1).broadcast('a', { n }));
      expect(await second.next()).toEqual({ n });
      second.socket.terminate();
    }
    while ((await at(nodes, 1).broadcast('a', {})) > 0);
  });

  it('keeps the order of confirmations', async () => {
    const nodes = await start();
    const known = await (await at(nodes, 0).connect()).subscribe('known');
    const client = await at(nodes, 0).connect();
    for (let n = 0; n < 20; n += 1) {
      client.authenticate(sign({ channels: [`new:${n}`] }));
      client.authenticate(sign({ channels: ['known'] }));
    }
    for (let n = 0; n < 20; n += 1) {
      for (const channel of [`new:${n}`, 'known']) {
        expect(await client.next()).toEqual({
          event: 'subscribed',
          data: JSON.stringify({ channel }),
        });
      }
    }
    await known.ping();
  });

  const publish = async (node: TestServer, claims: unknown) => {
    const response = await node.post(JSON.stringify({ token: sign(claims) }));
    return withoutPosition(await response.text());
  };
  const answer = (...results: number[]) => {
    const deliveries = results.reduce((sum, each) => sum + each, 0);
    const list = results.map((each) => `{"deliveries":${each}}`);
    return `{"message":"Success","deliveries":${deliveries},"results":[${list}]}`;
  };
  const asDuplicate = (text: string) => `${text.slice(0, -1)},"duplicate":true}`;

  it('hands out a batch on every node, in its order, and counts it exactly', async () => {
    const nodes = await start();
    const clients = [];
    for (let n = 0; n < 5; n += 1) {
      clients.push(await (await at(nodes, n).connect()).subscribe('a', `own:${n}`));
    }
    for (const node of nodes) {
      const broadcasts = [
        { channel: 'a', message: { n: 1 } },
        { channels: ['own:0', 'nobody', 'own:3', 'a'], message: { n: 2 } },
        { channel: 'nobody', message: { n: 3 } },
        { channels: ['own:3', 'own:3'], message: { n: 4 } },
      ];
      expect(await publish(node, { broadcasts })).toBe(answer(5, 7, 0, 2));
      for (const [n, client] of clients.entries()) {
        const expected = [1, 2];
        if (n === 0 || n === 3) expected.push(2);
        if (n === 3) expected.push(4, 4);
        for (const each of expected) expect(await client.next()).toEqual({ n: each });
        await client.ping();
      }
    }
  });

  it('carries a batch of 1,000 as it was signed', async () => {
    const nodes = await start();
    const client = await (await at(nodes, 1).connect()).subscribe('a', '');
    const texts = Array.from({ length: 1_000 }, (_, n) => `{"n":${n}.0, "x":"\\u0041 🌈"}`);
    const entries = texts.map(
      (text, n) => `{"channel":"${n % 2 === 0 ? 'a' : ''}","message":${text}}`,
    );
    const token = signText(`{"broadcasts":[${entries}]}`);
    const response = await at(nodes, 0).post(JSON.stringify({ token }));
    expect(withoutPosition(await response.text())).toBe(answer(...texts.map(() => 1)));
    for (const text of texts) expect(await client.nextText()).toBe(text);
  });

  it('lets nothing come in between the broadcasts of a batch', async () => {
    const nodes = await start();
    const clients = [];
    for (let n = 0; n < 3; n += 1)
      clients.push(await (await at(nodes, n).connect()).subscribe('a', 'b'));
    const posts: Promise<unknown>[] = [];
    for (let n = 0; n < 100; n += 1) {
      const broadcasts = [0, 1, 2].map((part) => ({
        channel: part === 1 ? 'b' : 'a',
        message: { n, part },
      }));
      posts.push(
        publish(at(nodes, n * 7), n % 2 === 0 ? { broadcasts } : { channel: 'a', message: { n } }),
      );
    }
    await Promise.all(posts);
    const orders = [];
    for (const client of clients) {
      const order: { n: number; part?: number }[] = [];
      for (let n = 0; n < 200; n += 1) order.push((await client.next()) as { n: number });
      for (const [index, { n, part }] of order.entries()) {
        if (part === 0)
          expect(order.slice(index + 1, index + 3)).toEqual([
            { n, part: 1 },
            { n, part: 2 },
          ]);
      }
      orders.push(order);
    }
    for (const order of orders) expect(order).toEqual(orders[0]);
  });

  it('delivers a jti once, whichever nodes it is posted to, one after the other or together', async () => {
    const nodes = await start();
    const clients = [];
    for (let n = 0; n < 3; n += 1)
      clients.push(await (await at(nodes, n).connect()).subscribe('a', 'b'));
    const batch = (jti: string) => ({
      broadcasts: [{ channels: ['a', 'b'], message: { jti } }],
      jti,
    });

    expect(await publish(at(nodes, 0), batch('x'))).toBe(answer(6));
    for (const node of nodes) expect(await publish(node, batch('x'))).toBe(asDuplicate(answer(6)));

    const posts = Array.from({ length: 30 }, (_, n) => publish(at(nodes, n), batch('y')));
    const answers = (await Promise.all(posts)).sort();
    const others = Array.from({ length: 29 }, () => asDuplicate(answer(6)));
    expect(answers).toEqual([answer(6), ...others].sort());

    expect(await publish(at(nodes, 1), { broadcasts: [{ channel: 'a' }], jti: 'z' })).toContain(
      'error',
    );
    expect(await publish(at(nodes, 0), batch('z'))).toBe(answer(6));
    for (const client of clients) {
      for (const jti of ['x', 'x', 'y', 'y', 'z', 'z'])
        expect(await client.next()).toEqual({ jti });
      await client.ping();
    }
  });

  it('adds up the counters of all nodes', async () => {
    const nodes = await start();
    for (const node of nodes) await (await node.connect()).subscribe('a', 'b');
    await at(nodes, 0).broadcast('a', {});
    const expected = { deliveries: 3 * nodes.length, connected: 2 * nodes.length };
    // An answer may be a second old.
    for (const node of nodes) {
      let stats = await node.stats();
      while (stats.deliveries < expected.deliveries) stats = await node.stats();
      expect(stats).toEqual(expected);
    }
  });
}
