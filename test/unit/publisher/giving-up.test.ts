import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { BifrostError, type PublishedBroadcast } from '../../../src/publisher/index.ts';
import type { Fate } from '../../support/broadcast-double.ts';
import {
  connectionRefused,
  createPublisher,
  endOfTurn,
  errorOf,
  MESSAGE,
  start,
  withoutJitter,
} from './setup.ts';

describe('giving up', () => {
  /** Every attempt fails, and takes five seconds of the publisher's clock. */
  const failSlowly = (fate: Fate) => () => {
    vi.setSystemTime(Date.now() + 5_000);
    return fate;
  };

  it.each<[string, Fate, object]>([
    [
      '503',
      { status: 503, body: '{"error":"Broker unavailable"}' },
      { status: 503, message: 'Broker unavailable' },
    ],
    ['502', { status: 502, body: '<html>' }, { status: 502, message: 'UNAVAILABLE' }],
    ['no answer', 'cut before', { status: undefined, message: 'UNAVAILABLE' }],
    ['half an answer', 'cut answer', { status: 200 }],
    ['the answer of something else', { status: 200, body: 'OK' }, { status: 200 }],
  ])(
    'comes after 30 s, and says that it may have been delivered: %s',
    async (_, fate, expected) => {
      withoutJitter();
      vi.useFakeTimers({ toFake: ['Date'] });
      const { double, bifrost } = await start(failSlowly(fate));
      const error = await errorOf(bifrost.publish('a', MESSAGE));
      expect(error).toBeInstanceOf(BifrostError);
      expect(error).toMatchObject({ code: 'UNAVAILABLE', mayHaveBeenDelivered: true, ...expected });
      expect(double.posted).toHaveLength(6);
      expect(new Set(double.posted.map(({ jti }) => jti)).size).toBe(1);
    },
  );

  it('says that nothing was delivered when there never was a connection', async () => {
    withoutJitter();
    vi.useFakeTimers({ toFake: ['Date'] });
    vi.spyOn(globalThis, 'fetch').mockImplementation(() => {
      vi.setSystemTime(Date.now() + 5_000);
      return Promise.reject(connectionRefused());
    });
    const error = await errorOf(createPublisher('http://localhost').publish('a', MESSAGE));
    expect(error).toMatchObject({
      code: 'UNAVAILABLE',
      status: undefined,
      mayHaveBeenDelivered: false,
      cause: { cause: { code: 'ECONNREFUSED' } },
    });
  });

  it('comes at once when the server asks for more time than there is', async () => {
    const { double, bifrost } = await start(() => ({
      status: 503,
      headers: { 'Retry-After': '3600' },
    }));
    expect(await errorOf(bifrost.publish('a', MESSAGE))).toMatchObject({ code: 'UNAVAILABLE' });
    expect(double.posted).toHaveLength(1);
  });

  it('takes calls with it that have waited as long, so that they do not pile up', async () => {
    withoutJitter();
    vi.useFakeTimers({ toFake: ['Date'] });
    let isAway = true;
    const { double, bifrost } = await start(() =>
      isAway ? failSlowly({ status: 503 })() : 'deliver',
    );
    const calls = Array.from({ length: 1_000 }, () => errorOf(bifrost.publish('a', MESSAGE)));
    const errors = await Promise.all(calls);

    expect(errors[99]).toMatchObject({ code: 'UNAVAILABLE', mayHaveBeenDelivered: true });
    for (const error of errors.slice(100)) {
      expect(error).toMatchObject({ code: 'UNAVAILABLE', mayHaveBeenDelivered: false });
    }
    expect(double.posted.every(({ broadcasts }) => broadcasts.length === 100)).toBe(true);
    expect(new Set(double.posted.map(({ jti }) => jti)).size).toBe(1);
    isAway = false;
    expect(await bifrost.publish('a', MESSAGE)).toMatchObject({ deliveries: 1 });
  });

  it('spares calls that have waited for less', async () => {
    withoutJitter();
    vi.useFakeTimers({ toFake: ['Date'] });
    let late: Promise<PublishedBroadcast> | undefined;
    const { bifrost } = await start((_, n) => {
      if (n === 3) late = bifrost.publish('a', { late: true });
      return n < 6 ? failSlowly({ status: 503 })() : 'deliver';
    });
    expect(await errorOf(bifrost.publish('a', MESSAGE))).toMatchObject({ status: 503 });
    expect(await late).toMatchObject({ deliveries: 1 });
  });
});

describe('whatever goes wrong on the way', () => {
  it('every message is delivered once, and each channel receives its own in order', async () => {
    withoutJitter();
    const anyFate = fc.constantFrom<Fate>(
      'deliver',
      'deliver',
      'deliver',
      'cut before',
      'cut after',
      'cut answer',
      { status: 503 },
      { status: 502 },
    );
    const anyCall = fc.record({
      channels: fc.array(fc.constantFrom('a', 'b', 'c', 'd:2', 'e:3'), {
        minLength: 1,
        maxLength: 3,
      }),
      // Turns of the event loop before it.
      turns: fc.nat({ max: 2 }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(anyCall, { maxLength: 40 }),
        // How many broadcasts the server takes in a body.
        fc.integer({ min: 1, max: 20 }),
        fc.infiniteStream(anyFate),
        async (calls, limit, stream) => {
          const { double, bifrost } = await start(async ({ broadcasts }): Promise<Fate> => {
            await endOfTurn();
            return broadcasts.length > limit ? { status: 413 } : stream.next().value;
          });
          const results: Promise<PublishedBroadcast[]>[] = [];
          for (const [n, { channels, turns }] of calls.entries()) {
            for (let turn = 0; turn < turns; turn += 1) await endOfTurn();
            results.push(bifrost.publishAll([{ channels, message: { n } }]));
          }
          const expected = { a: 1, b: 1, c: 1, 'd:2': 2, 'e:3': 3 };
          for (const [n, [result]] of (await Promise.all(results)).entries()) {
            const channels = calls[n]?.channels ?? [];
            expect(result?.deliveries).toBe(
              channels.reduce((sum, name) => sum + expected[name as keyof typeof expected], 0),
            );
          }
          for (const channel of Object.keys(expected)) {
            const received = double.delivered.filter((one) => one.channel === channel);
            expect(received.map(({ message }) => (message as { n: number }).n)).toEqual(
              calls.flatMap(({ channels }, n) =>
                channels.filter((one) => one === channel).map(() => n),
              ),
            );
          }
        },
      ),
      { numRuns: 40 },
    );
  });
});
