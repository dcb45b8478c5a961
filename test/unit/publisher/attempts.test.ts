import fc from 'fast-check';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { BifrostError, type PublishedBroadcast } from '../../../src/publisher/index.ts';
import type { Fate } from '../../support/broadcast-double.ts';
import { SECRET } from '../../support/tokens.ts';
import {
  connectionRefused,
  createPublisher,
  endOfTurn,
  errorOf,
  fates,
  gate,
  MESSAGE,
  start,
  withoutJitter,
} from './setup.ts';

/** The publisher's pauses take no time; resolves to how long they would have been. `fetch` keeps its timers. */
function skipPauses(): number[] {
  const pauses: number[] = [];
  const { setTimeout } = globalThis;
  vi.spyOn(globalThis, 'setTimeout').mockImplementation(((callback: () => void, ms: number) => {
    if (!new Error().stack?.includes('publisher/sender.ts')) return setTimeout(callback, ms);
    pauses.push(ms);
    return setImmediate(callback);
  }) as unknown as typeof setTimeout);
  return pauses;
}

describe('a request that is refused', () => {
  it('is resolved by sending its broadcasts singly, so that only the guilty one fails', async () => {
    const { double, bifrost } = await start();
    const names = ['a', 'x'.repeat(256), 'b', 'a'];
    const outcomes = await Promise.allSettled(
      names.map((channel, n) => bifrost.publish(channel, { n })),
    );
    expect(outcomes.map(({ status }) => status)).toEqual([
      'fulfilled',
      'rejected',
      'fulfilled',
      'fulfilled',
    ]);
    expect((outcomes[1] as PromiseRejectedResult).reason).toMatchObject({
      name: 'BifrostError',
      code: 'REFUSED',
      status: 400,
      mayHaveBeenDelivered: false,
      message: 'broadcasts[0].channel must be at most 255 characters',
    });
    expect(double.delivered.map(({ message }) => message)).toEqual([{ n: 0 }, { n: 2 }, { n: 3 }]);
    expect(double.posted.map(({ broadcasts }) => broadcasts.length)).toEqual([4, 1, 1, 1, 1]);
    expect(new Set(double.posted.map(({ jti }) => jti)).size).toBe(5);
  });

  it('keeps the order of its channels meanwhile', async () => {
    const { double, bifrost } = await start();
    const calls = ['a', 'x'.repeat(256), 'b'].map((channel) => bifrost.publish(channel, { n: 1 }));
    const settled = Promise.allSettled(calls);
    while (double.posted.length < 2) await endOfTurn();
    await bifrost.publish('b', { n: 2 });
    await settled;
    expect(double.delivered.filter(({ channel }) => channel === 'b')).toEqual([
      { channel: 'b', message: { n: 1 } },
      { channel: 'b', message: { n: 2 } },
    ]);
  });

  it('is resolved likewise when the body is too large for the server', async () => {
    const { double, bifrost } = await start(({ broadcasts }) =>
      broadcasts.length > 1
        ? { status: 413, body: '{"error":"Body must be at most 9 bytes"}' }
        : 'deliver',
    );
    await Promise.all(['a', 'b'].map((channel) => bifrost.publish(channel, MESSAGE)));
    expect(double.delivered).toHaveLength(2);
  });

  it.each([301, 307, 400, 401, 403, 404, 405, 408, 413, 418, 429, 500, 501])(
    'is never sent again: %d',
    async (status) => {
      withoutJitter();
      const headers = { Location: '/elsewhere', 'Retry-After': '1' };
      const { double, bifrost } = await start(() => ({ status, headers, body: '{"error":"No."}' }));
      expect(await errorOf(bifrost.publish('a', MESSAGE))).toMatchObject({
        code: 'REFUSED',
        status,
        message: 'No.',
        mayHaveBeenDelivered: status >= 500,
      });
      expect(double.posted.map(({ path }) => path)).toEqual(['/broadcast']);
    },
  );

  it('says nothing of the secret, the token or the message', async () => {
    withoutJitter();
    const { double, bifrost } = await start(fates({ status: 404, body: '<html>' }));
    const refused = await errorOf(bifrost.publish('a', { password: 'hidden' }));
    const unreachable = await errorOf(
      createPublisher('http://127.0.0.1:1', { batch: false }).publish(
        'a',
        { password: 'hidden' },
        {
          signal: AbortSignal.abort(),
        },
      ),
    );
    for (const error of [refused, unreachable]) {
      const said = `${JSON.stringify(error)} ${error.stack} ${error.cause} ${(error.cause as Error)?.stack}`;
      expect(said).not.toContain(SECRET);
      expect(said).not.toContain('hidden');
      expect(said).not.toContain(double.posted[0]?.body.slice(12, 100));
    }
  });

  it('is one with another secret', async () => {
    const { double, bifrost } = await start(undefined, { secret: 'another secret' });
    expect(await errorOf(bifrost.publish('a', MESSAGE))).toMatchObject({
      code: 'REFUSED',
      status: 400,
      message: 'Bad signature',
    });
    expect(double.delivered).toEqual([]);
  });

  it.each<[string, Fate]>([
    ['another secret', { status: 400, body: '{"error":"Bad signature"}' }],
    ['an older server', { status: 400, body: '{"error":"channel must be a string"}' }],
    ['something else', { status: 400, body: '<html>Bad Request</html>' }],
  ])('fails as a whole when it is no broadcast that is at fault: %s', async (_, fate) => {
    const { double, bifrost } = await start(() => fate);
    const outcomes = await Promise.allSettled(
      ['a', 'b', 'c'].map((channel) => bifrost.publish(channel, MESSAGE)),
    );
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ reason: { code: 'REFUSED', mayHaveBeenDelivered: false } });
    }
    expect(double.posted).toHaveLength(1);
  });
});

describe('an attempt that fails', () => {
  it.each<[string, Fate]>([
    ['502', { status: 502, body: '<html>Bad Gateway</html>' }],
    ['503', { status: 503 }],
    ['503 with Retry-After', { status: 503, headers: { 'Retry-After': '0' } }],
    ['504', { status: 504 }],
    ['a cut connection', 'cut before'],
    ['an answer that is lost', 'cut after'],
    ['an answer that is cut off', 'cut answer'],
  ])('is repeated byte for byte and delivered once: %s', async (_, fate) => {
    withoutJitter();
    const { double, bifrost } = await start(fates(fate, fate));
    expect(await bifrost.publish('user:5', MESSAGE)).toEqual({
      deliveries: 5,
      position: 'q7Kf2wX9.1',
    });
    expect(double.delivered).toHaveLength(1);
    expect(double.posted).toHaveLength(3);
    expect(new Set(double.posted.map(({ body }) => body)).size).toBe(1);
  });

  it('is repeated when the connection was refused', async () => {
    withoutJitter();
    const pauses = skipPauses();
    const { double } = await start();
    const { port } = new URL(double.url);
    const fetchOnce = vi.spyOn(globalThis, 'fetch').mockRejectedValueOnce(connectionRefused());
    await createPublisher(`http://127.0.0.1:${port}`).publish('a', MESSAGE);
    expect(fetchOnce).toHaveBeenCalledTimes(2);
    expect(pauses).toEqual([0]);
  });

  it('is repeated after as long as Retry-After asks for', async () => {
    withoutJitter();
    const pauses = skipPauses();
    const { bifrost } = await start(
      fates(
        { status: 503, headers: { 'Retry-After': '2' } },
        { status: 503, headers: { 'Retry-After': new Date(Date.now() + 10_000).toUTCString() } },
      ),
    );
    await bifrost.publish('a', MESSAGE);
    expect(pauses).toHaveLength(2);
    expect(pauses[0]).toBe(2_000);
    expect(pauses[1]).toBeGreaterThan(5_000);
  });

  it('is abandoned and repeated when no answer comes within 10 s', async () => {
    withoutJitter();
    const controllers: AbortController[] = [];
    const timeout = vi.spyOn(AbortSignal, 'timeout').mockImplementation(() => {
      const controller = new AbortController();
      controllers.push(controller);
      return controller.signal;
    });
    const never = gate();
    const { double, bifrost } = await start(async (_, n): Promise<Fate> => {
      if (n > 0) return 'deliver';
      controllers[0]?.abort(new DOMException('timeout', 'TimeoutError'));
      await never.opened;
      return 'cut before';
    });
    onTestFinished(never.open);
    expect(await bifrost.publish('a', MESSAGE)).toMatchObject({ deliveries: 1 });
    expect(timeout).toHaveBeenCalledWith(10_000);
    expect(double.posted).toHaveLength(2);
  });
});

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
