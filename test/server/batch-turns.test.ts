import { setImmediate } from 'node:timers/promises';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { DeliveryQueue } from '../../src/hub/delivery-queue.ts';
import { publish, received } from '../support/batch-requests.ts';
import { withoutPosition } from '../support/positions.ts';
import { startServer } from '../support/server.ts';
import { sign } from '../support/tokens.ts';

const message = { n: 1 };

describe('a batch that is handed out over many turns of the event loop', () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  const PAIRS = 1_000;
  const batch = {
    broadcasts: [{ channels: Array.from({ length: PAIRS }, () => 'a'), message }],
  };

  /** A server whose clock runs so fast that each publication takes a turn, and clients that are subscribed to `a`. */
  async function startSlow() {
    const server = await startServer({
      METRICS: 'true',
      PING_INTERVAL_SECONDS: '80000',
      AUTH_TIMEOUT_SECONDS: '0',
    });
    const connect = async () => (await server.connect()).subscribe('a');
    const clients = [await connect(), await connect()] as const;
    let time = performance.now();
    vi.spyOn(performance, 'now').mockImplementation(() => {
      time += 20;
      return time;
    });
    return { server, clients };
  }

  it('leaves room for other requests, and comes before what was posted after it', async () => {
    const { server, clients } = await startSlow();
    const events: string[] = [];
    const posted = publish(server, batch).then(([, text]) => events.push(text));
    await clients[0].nextText();
    const late = (await server.connect()).authenticate(sign({ channels: ['a'] }));
    await late.ping();
    const single = server.broadcast('a', { n: 2 }).then((count) => events.push(`single ${count}`));
    const next = publish(server, { broadcasts: [{ channels: ['a', 'a'], message: { n: 3 } }] });
    expect((await fetch(`${server.url}/info.json`)).status).toBe(200);
    events.push('info');
    await Promise.all([posted, single, next]);
    expect(events).toEqual([
      'info',
      `{"message":"Success","deliveries":${2 * PAIRS},"results":[{"deliveries":${2 * PAIRS}}]}`,
      'single 3',
    ]);

    const behind = ['{"n":2}', '{"n":3}', '{"n":3}'];
    const all = Array.from({ length: PAIRS }, () => '{"n":1}').concat(behind);
    expect(await received(clients[0])).toEqual(all.slice(1));
    expect(await received(clients[1])).toEqual(all);
    // Whoever comes during the batch is subscribed behind it.
    expect(await received(late)).toEqual([
      '{"event":"subscribed","data":"{\\"channel\\":\\"a\\"}"}',
      ...behind,
    ]);
  });

  it('leaves no subscription of a socket that goes while it waits for its turn', async () => {
    const { server, clients } = await startSlow();
    const posted = publish(server, batch);
    await clients[0].nextText();
    const late = (await server.connect()).authenticate(sign({ channels: ['late'] }));
    await late.ping();
    late.socket.terminate();
    let metrics = '';
    while (!metrics.includes('\nbifrost_connections 2\n')) {
      metrics = await (await fetch(`${server.url}/metrics`)).text();
    }
    expect(clients[1].waiting).toBeLessThan(PAIRS);
    await posted;
    expect((await server.stats()).connected).toBe(2);
  });

  it('is waited for by a retry, for two seconds at most', async () => {
    const { server, clients } = await startSlow();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const timers = vi.spyOn(globalThis, 'setTimeout');
    const posted = publish(server, { ...batch, jti: 'x' });
    await clients[0].nextText();
    const retry = publish(server, { ...batch, jti: 'x' });
    const impatient = publish(server, { ...batch, jti: 'x' });
    // Until both wait.
    while (timers.mock.calls.filter(([, ms]) => ms === 2_000).length < 2) await setImmediate();
    vi.advanceTimersByTime(2_000);
    vi.useRealTimers();
    const unknown =
      '{"message":"Success","deliveries":0,"results":[],"partial":true,"duplicate":true}';
    expect(await Promise.all([retry, impatient])).toEqual([
      [200, unknown],
      [200, unknown],
    ]);
    const late = publish(server, { ...batch, jti: 'x' });
    const answer = (await posted)[1];
    expect((await late)[1]).toBe(`${answer.slice(0, -1)},"duplicate":true}`);
    expect(await received(clients[1])).toHaveLength(PAIRS);
  });
});

it('answers 503 while too much waits to be handed out, which is no first sight of a jti', async () => {
  const server = await startServer();
  const client = await (await server.connect()).subscribe('a');
  const isFull = vi.spyOn(DeliveryQueue.prototype, 'isFull', 'get').mockReturnValue(true);
  onTestFinished(() => isFull.mockRestore());
  const body = JSON.stringify({
    token: sign({ broadcasts: [{ channel: 'a', message }], jti: 'x' }),
  });
  const refused = await server.post(body);
  expect(refused.status).toBe(503);
  expect(refused.headers.get('retry-after')).toBe('1');
  expect(await refused.text()).toBe('{"error":"Too many requests"}');
  isFull.mockRestore();
  expect(withoutPosition(await (await server.post(body)).text())).toBe(
    '{"message":"Success","deliveries":1,"results":[{"deliveries":1}]}',
  );
  expect(await received(client)).toEqual(['{"n":1}']);
});
