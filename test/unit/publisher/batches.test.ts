import { describe, expect, it, vi } from 'vitest';
import type { PublishedBroadcast } from '../../../src/publisher/index.ts';
import type { Fate } from '../../support/broadcast-double.ts';
import {
  endOfTurn,
  fates,
  gate,
  inFours,
  MESSAGE,
  start,
  watchRequests,
  withoutJitter,
} from './setup.ts';

describe('calls of one turn of the event loop', () => {
  it('travel together in the order of the calls, each with its own result', async () => {
    const { double, bifrost } = await start();
    const calls = ['user:1', 'user:2', 'user:1'].map((channel) =>
      bifrost.publish(channel, MESSAGE),
    );
    // A promise that is resolved by now is the same turn.
    await Promise.resolve();
    calls.push(bifrost.publish('user:3', MESSAGE));

    const results = await Promise.all(calls);
    expect(results.map(({ deliveries }) => deliveries)).toEqual([1, 2, 1, 3]);
    expect(double.posted).toHaveLength(1);
    expect(double.delivered.map(({ channel }) => channel)).toEqual([
      'user:1',
      'user:2',
      'user:1',
      'user:3',
    ]);
  });

  it('are posted without waiting for a later turn', async () => {
    const { double, bifrost } = await start();
    await bifrost.publish('a', MESSAGE);
    await bifrost.publish('a', MESSAGE);
    expect(double.posted).toHaveLength(2);
  });

  it('may be 10,000: 100 in a request, signed once, 4 requests at a time', async () => {
    const { double, bifrost } = await start(inFours(100));
    const sign = vi.spyOn(crypto.subtle, 'sign');
    const turns = vi.spyOn(globalThis, 'setImmediate');
    const requests = watchRequests();
    const users = Array.from({ length: 10_000 }, (_, n) => n + 1);

    const results = await Promise.all(
      users.map((user) => bifrost.publish(`user:${user}`, { event: 'greeting', user })),
    );

    expect(results.map(({ deliveries }) => deliveries)).toEqual(users);
    expect(double.delivered).toHaveLength(10_000);
    expect(double.posted).toHaveLength(100);
    expect(sign).toHaveBeenCalledTimes(100);
    expect(turns.mock.calls.length).toBeLessThan(1_000);
    expect(requests.peak).toBe(4);
  });

  it('may be 10,000 to one channel, which receives them in order', async () => {
    const { double, bifrost } = await start();
    const numbers = Array.from({ length: 10_000 }, (_, n) => n);
    await Promise.all(numbers.map((n) => bifrost.publish('news', { n })));
    expect(double.delivered.map(({ message }) => (message as { n: number }).n)).toEqual(numbers);
    expect(double.peak).toBe(1);
    expect(double.posted).toHaveLength(100);
  });

  it('are divided so that no body has more than 256 KiB', async () => {
    const { double, bifrost } = await start();
    const text = '€🌈ä'.repeat(1_000);
    await Promise.all(
      Array.from({ length: 100 }, (_, n) => bifrost.publish(`user:${n}`, { text })),
    );
    const sizes = double.posted.map(({ body }) => Buffer.byteLength(body));
    expect(Math.max(...sizes)).toBeLessThanOrEqual(256 * 1_024);
    // Nor are they much smaller than they might be.
    expect(double.posted.length).toBeLessThanOrEqual(Math.ceil((100 * 9_040 * 4) / 3 / 240_000));
    expect(double.delivered).toHaveLength(100);
  });

  it('leave a message that is larger than that to travel alone', async () => {
    const { double, bifrost } = await start();
    const large = { text: 'x'.repeat(400_000) };
    await Promise.all(
      ['a', 'b', 'c'].map((channel, n) => bifrost.publish(channel, n === 1 ? large : MESSAGE)),
    );
    const posted = double.posted.map(({ broadcasts }) =>
      broadcasts.map(({ channels }) => channels[0]),
    );
    expect(posted).toContainEqual(['b']);
    expect(posted).toHaveLength(2);
  });

  it('are divided so that no request has more than 1,000 pairs of channel and message', async () => {
    const { double, bifrost } = await start();
    const channels = (first: number, count: number) =>
      Array.from({ length: count }, (_, n) => `room:${first + n}`);
    await bifrost.publishAll([
      { channels: channels(0, 600), message: MESSAGE },
      { channels: channels(1_000, 400), message: MESSAGE },
      { channels: channels(2_000, 1), message: MESSAGE },
    ]);
    const pairs = double.posted.map(({ broadcasts }) =>
      broadcasts.flatMap((each) => each.channels),
    );
    expect(pairs.map(({ length }) => length).sort()).toEqual([1, 1_000]);
  });
});

describe('requests under way', () => {
  it('never share a channel: later calls wait, and calls to other channels do not', async () => {
    const first = gate();
    const { double, bifrost } = await start(async (_, n): Promise<Fate> => {
      if (n === 0) await first.opened;
      return 'deliver';
    });
    const calls = [bifrost.publishAll([{ channels: ['a', 'b'], message: { n: 0 } }])];
    while (double.posted.length < 1) await endOfTurn();
    const later = bifrost.publishAll([{ channels: ['b', 'c'], message: { n: 1 } }]);
    const behind = bifrost.publish('c', { n: 2 });
    await bifrost.publish('d', { n: 3 });

    expect(double.delivered.map(({ channel }) => channel)).toEqual(['d']);
    first.open();
    await Promise.all([...calls, later, behind]);
    expect(double.delivered.map(({ channel, message }) => [channel, message])).toEqual([
      ['d', { n: 3 }],
      ['a', { n: 0 }],
      ['b', { n: 0 }],
      ['b', { n: 1 }],
      ['c', { n: 1 }],
      ['c', { n: 2 }],
    ]);
  });

  it('keep their channels while they are tried again', async () => {
    withoutJitter();
    const { double, bifrost } = await start(fates({ status: 503 }, 'cut after', { status: 503 }));
    const calls: Promise<PublishedBroadcast>[] = [];
    for (let n = 0; n < 5; n += 1) {
      calls.push(bifrost.publish('a', { n }));
      await endOfTurn();
    }
    await Promise.all(calls);
    expect(double.delivered.map(({ message }) => message)).toEqual(
      [0, 1, 2, 3, 4].map((n) => ({ n })),
    );
  });
});
