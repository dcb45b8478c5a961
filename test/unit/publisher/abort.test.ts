import { getEventListeners } from 'node:events';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Fate } from '../../support/broadcast-double.ts';
import { endOfTurn, errorOf, gate, MESSAGE, start, withoutJitter } from './setup.ts';

describe('an AbortSignal', () => {
  const reason = new Error('the user left');

  it('that is aborted before the call keeps it from being sent', async () => {
    const { double, bifrost } = await start();
    const error = await errorOf(
      bifrost.publish('a', MESSAGE, { signal: AbortSignal.abort(reason) }),
    );
    expect(error).toMatchObject({ code: 'ABORTED', mayHaveBeenDelivered: false, cause: reason });
    await bifrost.publish('fence', MESSAGE);
    expect(double.delivered.map(({ channel }) => channel)).toEqual(['fence']);
  });

  it('takes a call back that has not been sent, and no other', async () => {
    const first = gate();
    const { double, bifrost } = await start(async (): Promise<Fate> => {
      await first.opened;
      return 'deliver';
    });
    const controller = new AbortController();
    const calls = [bifrost.publish('a', { n: 0 })];
    while (double.posted.length < 1) await endOfTurn();
    const aborted = errorOf(bifrost.publish('a', { n: 1 }, { signal: controller.signal }));
    calls.push(bifrost.publish('a', { n: 2 }));
    controller.abort(reason);

    // It does not wait for the request under way.
    expect(await aborted).toMatchObject({ code: 'ABORTED', mayHaveBeenDelivered: false });
    first.open();
    await Promise.all(calls);
    expect(double.delivered.map(({ message }) => message)).toEqual([{ n: 0 }, { n: 2 }]);
  });

  it('ends a call under way at once, and not those that travel with it', async () => {
    const first = gate();
    const { double, bifrost } = await start(async (): Promise<Fate> => {
      await first.opened;
      return 'deliver';
    });
    const controller = new AbortController();
    const aborted = errorOf(bifrost.publish('user:1', MESSAGE, { signal: controller.signal }));
    const other = bifrost.publish('user:2', MESSAGE);
    while (double.posted.length < 1) await endOfTurn();
    controller.abort(reason);

    expect(await aborted).toMatchObject({
      code: 'ABORTED',
      mayHaveBeenDelivered: true,
      cause: reason,
    });
    first.open();
    expect(await other).toMatchObject({ deliveries: 2 });
  });

  it('ends the attempts when nobody waits for them any more', async () => {
    withoutJitter();
    const controller = new AbortController();
    const { double, bifrost } = await start(({ jti }, n) => {
      if (n === 1) controller.abort(reason);
      return jti === double.posted[0]?.jti ? { status: 503 } : 'deliver';
    });
    const error = await errorOf(bifrost.publish('a', MESSAGE, { signal: controller.signal }));
    expect(error).toMatchObject({ code: 'ABORTED' });
    // It has the same channel, so it is sent when the request before it has ended.
    expect(await bifrost.publish('a', MESSAGE)).toMatchObject({ deliveries: 1 });
    expect(double.posted).toHaveLength(3);
  });

  it('does not end the attempts of the others', async () => {
    withoutJitter();
    const controller = new AbortController();
    const { bifrost } = await start((_, n) => {
      if (n === 0) controller.abort(reason);
      return n < 3 ? { status: 503 } : 'deliver';
    });
    const aborted = errorOf(bifrost.publish('a', MESSAGE, { signal: controller.signal }));
    expect(await bifrost.publish('user:2', MESSAGE)).toMatchObject({ deliveries: 2 });
    expect(await aborted).toMatchObject({ code: 'ABORTED' });
  });

  it('keeps an aborted call from being sent singly', async () => {
    const controller = new AbortController();
    const { double, bifrost } = await start((_, n) => {
      if (n === 0) controller.abort(reason);
      return n === 0 ? { status: 413 } : 'deliver';
    });
    const aborted = errorOf(bifrost.publish('a', MESSAGE, { signal: controller.signal }));
    await bifrost.publish('b', MESSAGE);
    expect(await aborted).toMatchObject({ code: 'ABORTED' });
    expect(double.delivered.map(({ channel }) => channel)).toEqual(['b']);
  });

  /** Counts how often somebody looks whether the signal is aborted. */
  function countLooks(signal: AbortSignal, onLook: () => void): AbortSignal {
    return new Proxy(signal, {
      get(target, name) {
        if (name === 'aborted') onLook();
        const value = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  }

  it('may be shared by any number of calls: it has one listener', async () => {
    const { bifrost } = await start();
    const controller = new AbortController();
    let looked = 0;
    const signal = countLooks(controller.signal, () => {
      looked += 1;
    });
    const users = Array.from({ length: 2_000 }, (_, n) => n);
    await Promise.all(users.map((n) => bifrost.publish(`user:${n}`, MESSAGE, { signal })));
    await bifrost.publish('a', MESSAGE, { signal });
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(1);
    expect(looked).toBeLessThan(4 * users.length);
  });

  it('may be one for each of many calls, which end together in one step', async () => {
    const never = gate();
    const { bifrost } = await start(async (): Promise<Fate> => {
      await never.opened;
      return 'deliver';
    });
    onTestFinished(never.open);
    let looked = 0;
    const calls = Array.from({ length: 2_000 }, (_, n) => {
      const controller = new AbortController();
      const signal = countLooks(controller.signal, () => {
        looked += 1;
      });
      return { controller, error: errorOf(bifrost.publish(`user:${n}`, MESSAGE, { signal })) };
    });
    await endOfTurn();
    for (const { controller } of calls) controller.abort();
    for (const { error } of calls) expect(await error).toMatchObject({ code: 'ABORTED' });
    expect(looked).toBeLessThan(4 * calls.length);
  });
});
