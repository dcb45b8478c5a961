import { describe, expect, it, onTestFinished } from 'vitest';
import { startBifrost, type TestBifrost, type TestSettings } from '../../src/testing.ts';
import { connectClient, type TestClient } from '../support/client.ts';

async function start(settings?: TestSettings): Promise<TestBifrost> {
  const bifrost = await startBifrost(settings);
  onTestFinished(bifrost.close);
  return bifrost;
}

const connect = ({ subscribeUrl }: TestBifrost) => connectClient(subscribeUrl);

/** Connects as a client that recovers from this position, or begins now. Resolves when the channel is confirmed. */
async function recover(bifrost: TestBifrost, channel: string, since: string | null = null) {
  const client = await connect(bifrost);
  const token = await bifrost.publisher.subscriptionToken([channel]);
  client.send({ event: 'authenticate', data: token, since });
  const { data } = (await client.next()) as { data: string };
  return { client, ...JSON.parse(data) };
}

/** The position of the client's next message, which must have this text in `n`. */
async function positionOfNext(client: TestClient, n: number): Promise<string> {
  const { position, data } = (await client.next()) as { position: string; data: unknown };
  expect(data).toEqual({ n });
  return position;
}

async function subscribe(bifrost: TestBifrost, ...channels: string[]): Promise<TestClient> {
  const client = await connect(bifrost);
  client.authenticate(await bifrost.publisher.subscriptionToken(channels));
  for (const _ of channels) await client.next();
  return client;
}

describe('a test server', () => {
  it('is a server that apps and browsers can use', async () => {
    const bifrost = await start();
    expect(bifrost.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(bifrost.subscribeUrl).toBe(`${bifrost.url.replace('http', 'ws')}/subscribe`);
    expect(Buffer.byteLength(bifrost.secret)).toBeGreaterThanOrEqual(64);
    const alice = await subscribe(bifrost, 'user:1');

    const { deliveries } = await bifrost.publisher.publish('user:1', { event: 'greeting' });

    expect(deliveries).toBe(1);
    expect(await alice.next()).toEqual({ event: 'greeting' });
  });

  it('is one of its own each time', async () => {
    const [one, two] = await Promise.all([start(), start()]);
    expect(one.url).not.toBe(two.url);
    expect(one.secret).not.toBe(two.secret);
    await one.publisher.publish('a', { n: 1 });
    expect(two.broadcasts).toEqual([]);
  });

  it('ends with the block that it is used in', async () => {
    let url: string;
    {
      await using bifrost = await startBifrost();
      url = bifrost.url;
      expect((await fetch(`${url}/healthz`)).status).toBe(200);
    }
    await expect(fetch(`${url}/healthz`)).rejects.toThrow('fetch failed');
  });

  it('ends whatever is connected to it, and may be closed twice', async () => {
    const bifrost = await start();
    const alice = await subscribe(bifrost, 'a');
    await Promise.all([bifrost.close(), bifrost.close()]);
    expect(await alice.closed).toMatchObject({ code: 1001 });
    await expect(bifrost.restart()).rejects.toThrow('The server is closed');
  });
});

describe('the settings of a test server', () => {
  it('are those of a server', async () => {
    const bifrost = await start({ JWT_SECRET: 'known', MAX_CHANNEL_LENGTH: '3', HOST: undefined });
    expect(bifrost.secret).toBe('known');
    await expect(bifrost.publisher.publish('long', {})).rejects.toThrow(
      'channel must be at most 3 characters',
    );
  });

  it('count as not set when they are empty', async () => {
    const bifrost = await start({ JWT_SECRET: '', HOST: '', PORT: '' });
    expect(bifrost.secret).toMatch(/^[0-9a-f]{128}$/);
    expect(bifrost.url).toMatch(/^http:\/\/127\.0\.0\.1:(?!3000$)\d+$/);
  });

  it('do not come from the environment', async () => {
    process.env['JWT_SECRET'] = 'of the environment';
    onTestFinished(() => {
      delete process.env['JWT_SECRET'];
    });
    expect((await start()).secret).not.toBe('of the environment');
  });

  it.each([
    [{ HISTORY_MESAGES: '1' }, 'There is no setting HISTORY_MESAGES'],
    [
      { REDIS_URL: 'redis://localhost' },
      'A test server cannot have REDIS_URL: it is a single node',
    ],
    [{ WEB_CONCURRENCY: '2' }, 'WEB_CONCURRENCY'],
    [{ HISTORY_FILE: 'history' }, 'HISTORY_FILE'],
    [{ PING_INTERVAL_SECONDS: '0' }, 'PING_INTERVAL_SECONDS must be a number of seconds'],
  ])('are refused when they cannot be used: %j', async (settings, problem) => {
    await expect(startBifrost(settings)).rejects.toThrow(problem);
  });
});

describe('the broadcasts of a test server', () => {
  it('are all that was posted, in their order', async () => {
    const bifrost = await start();
    await subscribe(bifrost, 'a', 'b');
    await bifrost.publisher.publish('a', '{"event":"x","1":1.0,"data":{"n":1}}');
    await bifrost.publisher.publishAll([
      { channels: ['b', 'nobody'], message: { n: 2 } },
      { channel: 'a', message: { n: 3 }, history: false },
    ]);
    expect(bifrost.broadcasts).toEqual([
      { channel: 'a', message: { event: 'x', 1: 1, data: { n: 1 } }, deliveries: 1 },
      { channel: 'b', message: { n: 2 }, deliveries: 1 },
      { channel: 'nobody', message: { n: 2 }, deliveries: 0 },
      { channel: 'a', message: { n: 3 }, deliveries: 1 },
    ]);
  });

  it('are there with HISTORY=off too', async () => {
    const bifrost = await start({ HISTORY: 'off' });
    await bifrost.publisher.publish('a', { n: 1 });
    expect(bifrost.broadcasts).toEqual([{ channel: 'a', message: { n: 1 }, deliveries: 0 }]);
  });

  it('are without those that were refused', async () => {
    const bifrost = await start();
    const body = JSON.stringify({ token: 'garbage' });
    expect((await fetch(`${bifrost.url}/broadcast`, { method: 'POST', body })).status).toBe(400);
    expect(bifrost.broadcasts).toEqual([]);
  });
});

describe('nextBroadcast', () => {
  it('gives each broadcast once, those that came before the call first', async () => {
    const bifrost = await start();
    await bifrost.publisher.publish('a', { n: 1 });
    await bifrost.publisher.publish('a', { n: 2 });
    const three = [bifrost.nextBroadcast(), bifrost.nextBroadcast(), bifrost.nextBroadcast()];
    await bifrost.publisher.publish('a', { n: 3 });
    const numbers = (await Promise.all(three)).map(({ message }) => message['n']);
    expect(numbers).toEqual([1, 2, 3]);
    expect(bifrost.broadcasts).toHaveLength(3);
  });

  it('leaves broadcasts to other channels for other calls', async () => {
    const bifrost = await start();
    const waiting = bifrost.nextBroadcast({ channel: 'b' });
    await bifrost.publisher.publish('a', { n: 1 });
    await bifrost.publisher.publish('b', { n: 2 });
    expect(await waiting).toEqual({ channel: 'b', message: { n: 2 }, deliveries: 0 });
    expect(await bifrost.nextBroadcast()).toEqual({
      channel: 'a',
      message: { n: 1 },
      deliveries: 0,
    });
  });

  it('waits no longer than its signal, and then takes nothing', async () => {
    const bifrost = await start();
    const controller = new AbortController();
    const { signal } = controller;
    const waiting = bifrost.nextBroadcast({ signal });
    controller.abort(new Error('waited enough'));
    await expect(waiting).rejects.toThrow('waited enough');
    await expect(bifrost.nextBroadcast({ signal })).rejects.toThrow('waited enough');

    await bifrost.publisher.publish('a', { n: 1 });
    expect((await bifrost.nextBroadcast()).message).toEqual({ n: 1 });
  });

  it('rejects when the server is closed', async () => {
    const bifrost = await start();
    const waiting = expect(bifrost.nextBroadcast()).rejects.toThrow('The server was closed');
    await bifrost.close();
    await waiting;
    await expect(bifrost.nextBroadcast()).rejects.toThrow('The server was closed');
  });
});

describe('a test server in trouble', () => {
  it('cuts websockets off without a close frame, and those who come back recover', async () => {
    const bifrost = await start();
    const first = await recover(bifrost, 'a');
    await bifrost.publisher.publish('a', { n: 1 });
    const position = await positionOfNext(first.client, 1);

    bifrost.drop();
    expect((await bifrost.publisher.publish('a', { n: 2 })).deliveries).toBe(0);

    expect(await first.client.closed).toMatchObject({ code: 1006 });
    const second = await recover(bifrost, 'a', position);
    expect(second).toMatchObject({ recovered: true, missed: 1 });
    await positionOfNext(second.client, 2);
  });

  it('restarts at the same address with its history', async () => {
    const bifrost = await start();
    const first = await recover(bifrost, 'a');
    await bifrost.publisher.publish('a', { n: 1 });
    const position = await positionOfNext(first.client, 1);
    await bifrost.publisher.publish('a', { n: 2 });

    await bifrost.restart();

    expect(await first.client.closed).toMatchObject({ code: 1001 });
    const second = await recover(bifrost, 'a', position);
    expect(second).toMatchObject({ recovered: true, missed: 1 });
    await positionOfNext(second.client, 2);
    await bifrost.publisher.publish('a', { n: 3 });
    await positionOfNext(second.client, 3);
    expect(bifrost.broadcasts.map(({ message }) => message['n'])).toEqual([1, 2, 3]);
  });

  it('forgets its history, and those who come back are told of a gap', async () => {
    const bifrost = await start();
    const first = await recover(bifrost, 'a');

    await bifrost.forget();

    expect(await first.client.closed).toMatchObject({ code: 1006 });
    const second = await recover(bifrost, 'a', first.position);
    expect(second.recovered).toBe(false);
    await bifrost.publisher.publish('a', { n: 1 });
    await positionOfNext(second.client, 1);
  });

  it('tells of a gap when more was missed than HISTORY_MESSAGES', async () => {
    const bifrost = await start({ HISTORY_MESSAGES: '1' });
    const { client, position } = await recover(bifrost, 'a');
    bifrost.drop();
    await client.closed;
    await bifrost.publisher.publishAll([
      { channel: 'a', message: { n: 1 } },
      { channel: 'a', message: { n: 2 } },
    ]);
    expect((await recover(bifrost, 'a', position)).recovered).toBe(false);
  });

  it('restarts one after the other', async () => {
    const bifrost = await start();
    await Promise.all([bifrost.restart(), bifrost.forget(), bifrost.restart()]);
    expect((await fetch(`${bifrost.url}/healthz`)).status).toBe(200);
  });
});
