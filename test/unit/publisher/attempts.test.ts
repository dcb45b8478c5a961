import { describe, expect, it, onTestFinished, vi } from 'vitest';
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
