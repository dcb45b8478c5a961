import { afterEach, describe, expect, it, vi } from 'vitest';
import { recordingLog } from '../support/log.ts';
import { ManualBus, startNode } from '../support/manual-bus.ts';
import { startServer } from '../support/server.ts';
import { now, sign } from '../support/tokens.ts';

afterEach(() => {
  vi.useRealTimers();
});

describe('a node whose bus is lost and reconnected', () => {
  const token = sign({ channel: 'a', message: { n: 1 } });

  it('refuses broadcasts and fails health checks while the bus is unavailable', async () => {
    const { bus, node, health } = await startNode({ METRICS: 'true' });
    const available = async () => {
      const text = await (await fetch(`${node.url}/metrics`)).text();
      return /^bifrost_broker_available (.*)$/m.exec(text)?.[1];
    };
    const refused = await node.post(JSON.stringify({ token }));
    expect(refused.status).toBe(503);
    expect(refused.headers.get('retry-after')).toBe('1');
    expect(await refused.text()).toBe('{"error":"Broker unavailable"}');
    expect(await (await fetch(`${node.url}/metrics`)).text()).toContain(
      '\nbifrost_broadcasts_total{result="failed"} 1\n',
    );
    expect(await available()).toBe('0');
    expect(await health()).toBe('{"status":"broker unavailable"}');

    await bus.comeUp();
    expect(await health()).toBe('{"status":"ok"}');
    expect(await available()).toBe('1');
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
