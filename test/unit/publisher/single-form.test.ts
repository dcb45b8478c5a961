import { describe, expect, it, vi } from 'vitest';
import type { Fate } from '../../support/broadcast-double.ts';
import { startServer } from '../../support/server.ts';
import {
  connectionRefused,
  createPublisher,
  errorOf,
  fates,
  inFours,
  MESSAGE,
  start,
  watchRequests,
  withoutJitter,
} from './setup.ts';

describe('without batches', () => {
  it('posts the single form, a message a request, 4 at a time, in the order of each channel', async () => {
    const { double, bifrost } = await start(inFours(50), { batch: false });
    const requests = watchRequests();
    const numbers = Array.from({ length: 50 }, (_, n) => n);
    const results = await Promise.all(
      numbers.map((n) => bifrost.publish(`user:${n % 7}`, { n }, { history: n > 0 })),
    );
    expect(results).toEqual(numbers.map((n) => ({ deliveries: n % 7 })));
    expect(double.posted).toHaveLength(50);
    expect(requests.peak).toBe(4);
    const [posted] = double.posted;
    expect(posted).toMatchObject({ isBatch: false, jti: undefined });
    expect(JSON.parse(posted?.text ?? '')).toEqual({
      channel: 'user:0',
      message: { n: 0 },
      history: false,
      exp: expect.any(Number),
    });
    for (let user = 0; user < 7; user += 1) {
      const received = double.delivered.filter(({ channel }) => channel === `user:${user}`);
      const sorted = received.map(({ message }) => (message as { n: number }).n);
      expect(sorted).toEqual(numbers.filter((n) => n % 7 === user));
    }
  });

  it.each<[string, Fate]>([
    ['502', { status: 502 }],
    ['503', { status: 503, headers: { 'Retry-After': '0' } }],
    ['504', { status: 504 }],
    ['a cut connection', 'cut before'],
    ['an answer that is lost', 'cut after'],
  ])('does not repeat what may have arrived: %s', async (_, fate) => {
    const { double, bifrost } = await start(fates(fate), { batch: false });
    expect(await errorOf(bifrost.publish('a', MESSAGE))).toMatchObject({
      code: 'UNAVAILABLE',
      mayHaveBeenDelivered: true,
    });
    expect(double.posted).toHaveLength(1);
  });

  it('repeats what cannot have arrived', async () => {
    withoutJitter();
    const { double, bifrost } = await start(undefined, { batch: false });
    vi.spyOn(globalThis, 'fetch').mockRejectedValueOnce(connectionRefused());
    expect(await bifrost.publish('user:2', MESSAGE)).toEqual({ deliveries: 2 });
    expect(double.posted).toHaveLength(1);
  });

  it('works with the single form of the real server', async () => {
    const { url, connect } = await startServer();
    const alice = await (await connect()).subscribe('user:1');
    const bifrost = createPublisher(url, { batch: false });
    expect(await bifrost.publish('user:1', '{"id":9007199254740993}')).toEqual({ deliveries: 1 });
    expect(await alice.nextText()).toBe('{"id":9007199254740993}');
  });
});
