import jwt from 'jsonwebtoken';
import { describe, expect, it, vi } from 'vitest';
import { BifrostPublisher } from '../../../src/publisher/index.ts';
import { startServer } from '../../support/server.ts';
import { now, SECRET } from '../../support/tokens.ts';
import { createPublisher, errorOf, MESSAGE, start } from './setup.ts';

describe('publish', () => {
  it('posts a signed batch and resolves to what the server says', async () => {
    const { double, bifrost } = await start();
    const published = await bifrost.publish('user:7', MESSAGE);

    expect(published).toEqual({ deliveries: 7, position: 'q7Kf2wX9.1' });
    expect(double.delivered).toEqual([{ channel: 'user:7', message: MESSAGE }]);
    const [posted] = double.posted;
    expect(posted).toMatchObject({ path: '/broadcast', contentType: 'application/json' });
    expect(posted?.jti).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    expect(posted?.exp).toBeGreaterThan(now() + 110);
    expect(posted?.exp).toBeLessThanOrEqual(now() + 120);
  });

  it('sends text as it is', async () => {
    const { double, bifrost } = await start();
    await bifrost.publish('a', '{"2":1, "1":9007199254740993, "x":1.0}');
    expect(double.posted[0]?.text).toContain('"message":{"2":1, "1":9007199254740993, "x":1.0}');
  });

  it('keeps messages out of the history', async () => {
    const { double, bifrost } = await start();
    await bifrost.publish('a', MESSAGE, { history: false });
    await bifrost.publish('a', MESSAGE);
    expect(double.posted.map(({ broadcasts }) => broadcasts[0]?.history)).toEqual([
      false,
      undefined,
    ]);
  });

  it('does not need to be called as a method', async () => {
    const { bifrost } = await start();
    const { publish, publishAll, subscriptionToken } = bifrost;
    expect(await publish('user:2', MESSAGE)).toMatchObject({ deliveries: 2 });
    expect(await publishAll([{ channel: 'user:3', message: MESSAGE }])).toHaveLength(1);
    expect(await subscriptionToken(['a'])).toMatch(/\./);
  });

  it('says so when a server did not confirm in time', async () => {
    const body =
      '{"message":"Success","deliveries":3,"results":[{"deliveries":1},{"deliveries":2}],"partial":true}';
    const { bifrost } = await start(() => ({ status: 200, body }));
    expect(
      await Promise.all([bifrost.publish('a', MESSAGE), bifrost.publish('b', MESSAGE)]),
    ).toEqual([
      { deliveries: 1, partial: true },
      { deliveries: 2, partial: true },
    ]);
  });

  it('does not know the deliveries when the first answer to a repetition is not known', async () => {
    const body =
      '{"message":"Success","deliveries":0,"results":[],"partial":true,"duplicate":true}';
    const { bifrost } = await start(() => ({ status: 200, body }));
    const published = await bifrost.publish('a', MESSAGE);
    expect(published).toEqual({ deliveries: undefined, partial: true });
    expect(published).toHaveProperty('deliveries');
  });
});

describe('publishAll', () => {
  it('resolves to the results in their order', async () => {
    const { double, bifrost } = await start();
    const results = await bifrost.publishAll([
      { channel: 'user:2', message: MESSAGE },
      { channels: ['user:3', 'user:4'], message: { event: 'tick' }, history: false },
    ]);
    expect(results.map(({ deliveries }) => deliveries)).toEqual([2, 7]);
    expect(double.posted).toHaveLength(1);
    expect(double.delivered.map(({ channel }) => channel)).toEqual(['user:2', 'user:3', 'user:4']);
  });

  it('sends nothing when one of them is wrong', async () => {
    const { double, bifrost } = await start();
    const list = [
      { channel: 'a', message: MESSAGE },
      { channel: 'b\ud800', message: MESSAGE },
    ];
    expect(await errorOf(bifrost.publishAll(list))).toMatchObject({ code: 'INVALID' });
    await bifrost.publish('fence', MESSAGE);
    expect(double.delivered.map(({ channel }) => channel)).toEqual(['fence']);
  });

  it('rejects with the first error, and delivers the others', async () => {
    const { double, bifrost } = await start();
    const list = ['a', 'x'.repeat(256), 'b'].map((channel) => ({ channel, message: MESSAGE }));
    expect(await errorOf(bifrost.publishAll(list))).toMatchObject({ code: 'REFUSED', status: 400 });
    await bifrost.publish('b', MESSAGE);
    expect(double.delivered.map(({ channel }) => channel)).toEqual(['a', 'b', 'b']);
  });

  it('resolves at once without broadcasts', async () => {
    const { double, bifrost } = await start();
    expect(await bifrost.publishAll([])).toEqual([]);
    expect(double.posted).toEqual([]);
  });
});

describe('wrong input', () => {
  it('is refused before it is sent and does not touch its neighbours', async () => {
    const { double, bifrost } = await start(undefined, { maxChannelLength: 10 });
    const outcomes = await Promise.allSettled([
      bifrost.publish('a', MESSAGE),
      bifrost.publish('b', [] as object),
      bifrost.publish('far too long', MESSAGE),
      bifrost.publish('c', '{}'),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual([
      'fulfilled',
      'rejected',
      'rejected',
      'fulfilled',
    ]);
    expect(double.posted).toHaveLength(1);
  });

  it.each([
    ['url', { url: undefined }],
    ['url', { url: '' }],
    ['url', { url: 'localhost:3000' }],
    ['url', { url: 'ws://localhost:3000' }],
    ['url', { url: 'https://user:password@localhost' }],
    ['url', { url: 'https://localhost?key=1' }],
    ['url', { url: 'https://localhost#top' }],
    ['secret', { secret: undefined }],
    ['secret', { secret: '' }],
  ])('of the constructor throws: %s', (name, wrong) => {
    expect(
      () => new BifrostPublisher({ url: 'https://localhost', secret: SECRET, ...wrong }),
    ).toThrow(expect.objectContaining({ code: 'INVALID', message: `invalid ${name}` }));
  });

  it.each(['', '/', '/some/path', '/some/path/'])('a URL may end in "%s"', async (end) => {
    const { double } = await start();
    await createPublisher(double.url + end).publish('a', MESSAGE);
    expect(double.posted[0]?.path).toBe(`${end.replace(/\/$/, '')}/broadcast`);
  });
});

describe('subscriptionToken', () => {
  it('is one that the server takes', async () => {
    const { url, connect } = await startServer();
    const token = await createPublisher(url).subscriptionToken(['user:1', 'news'], {
      expiresIn: 5,
    });
    const alice = (await connect()).authenticate(token);
    for (const channel of ['user:1', 'news']) {
      expect(await alice.next()).toEqual({
        event: 'subscribed',
        data: JSON.stringify({ channel }),
      });
    }
  });

  it('lives for so many seconds, for 60 unless said otherwise', async () => {
    const bifrost = createPublisher('http://localhost');
    const lifetime = async (options?: { expiresIn: number }) => {
      const { exp, ...claims } = jwt.decode(await bifrost.subscriptionToken(['a'], options)) as {
        exp: number;
      };
      expect(claims).toEqual({ channels: ['a'] });
      return exp - now();
    };
    vi.useFakeTimers({ toFake: ['Date'] });
    expect(await lifetime()).toBe(60);
    expect(await lifetime({ expiresIn: 3_600 })).toBe(3_600);
    // A mistake must not make a token that lives for ever.
    expect(await lifetime({ expiresIn: '60' as unknown as number })).toBe(60);
  });

  it.each([
    ['channels', [], {}],
    ['channels', ['a', 1], {}],
    ['channels', ['a\ud800'], {}],
    ['channels', ['too long'], {}],
    ['expiresIn', ['a'], { expiresIn: 0 }],
    ['expiresIn', ['a'], { expiresIn: -1 }],
    ['expiresIn', ['a'], { expiresIn: Number.NaN }],
  ])('refuses wrong %s: %j %j', async (name, channels, options) => {
    const bifrost = createPublisher('http://localhost', { maxChannelLength: 5 });
    const error = await errorOf(bifrost.subscriptionToken(channels as string[], options));
    expect(error).toMatchObject({ code: 'INVALID', message: `invalid ${name}` });
  });
});
