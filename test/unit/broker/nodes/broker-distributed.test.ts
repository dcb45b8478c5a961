import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Channel } from '../../../../src/protocol/channel.ts';
import { settle } from '../../../support/manual-bus.ts';
import { channel, createBroker, subscriber } from './setup.ts';

afterEach(() => {
  vi.useRealTimers();
});

describe('DistributedBroker', () => {
  it('subscribes on the bus with the first subscriber of a channel and unsubscribes with the last', async () => {
    const { bus, broker } = createBroker();
    await bus.comeUp();
    const other = { deliver: () => true };
    const subscribed = vi.fn();
    expect(broker.subscribe(subscriber, [channel, channel], subscribed)).toBe(false);
    expect(broker.subscribe(other, [channel], subscribed)).toBe(false);
    expect(bus.subscribing.map(({ topics }) => topics)).toEqual([['p:channel:a']]);
    expect(subscribed).toHaveBeenCalledTimes(0);
    await bus.confirmAll();
    expect(subscribed).toHaveBeenCalledTimes(2);
    expect(broker.subscribe({ deliver: () => true }, [], subscribed)).toBe(true);
    expect(broker.subscribe(other, [channel], subscribed)).toBe(true);

    broker.unsubscribe(subscriber);
    broker.unsubscribe(subscriber);
    expect(bus.unsubscribed).toEqual([]);
    broker.unsubscribe(other);
    expect(bus.unsubscribed).toEqual([['p:channel:a']]);
  });

  it('waits for a new confirmation when a channel was unsubscribed and subscribed again meanwhile', async () => {
    const { bus, broker } = createBroker();
    await bus.comeUp();
    const subscribed = vi.fn();
    broker.subscribe(subscriber, [channel], () => subscribed('left'));
    broker.unsubscribe(subscriber);
    broker.subscribe(subscriber, [channel], () => subscribed('again'));

    bus.subscribing[0]?.confirm();
    await settle();
    expect(subscribed).not.toHaveBeenCalled();
    bus.subscribing[1]?.confirm();
    await settle();
    expect(subscribed.mock.calls).toEqual([['again']]);
  });

  it('removes a subscriber that leaves during an outage while others wait for the same channel', async () => {
    const { bus, broker } = createBroker();
    const subscribed = vi.fn();
    broker.subscribe(subscriber, [channel], () => subscribed('stayed'));
    for (let n = 0; n < 3; n += 1) {
      const guest = { deliver: () => true };
      broker.subscribe(guest, [channel], () => subscribed('left'));
      broker.unsubscribe(guest);
    }
    await bus.comeUp();
    expect(subscribed.mock.calls).toEqual([['stayed']]);
  });

  it('waits for a new confirmation after a loss, also for channels that were confirmed before it', async () => {
    const { bus, broker } = createBroker();
    await bus.comeUp();
    const late = 'late' as Channel;
    const early = 'early' as Channel;
    // As many as are renewed at once come before the channel that is confirmed early.
    const many = Array.from({ length: 1_000 }, (_, n) => `${n}` as Channel);
    broker.subscribe({ deliver: () => true }, [late], () => {});
    broker.subscribe({ deliver: () => true }, [...many, early], () => {});
    bus.subscribing[1]?.confirm();
    await settle();
    const subscribed = vi.fn();
    expect(broker.subscribe(subscriber, [early, late], subscribed)).toBe(false);

    bus.listener?.down();
    bus.subscribing.length = 0;
    bus.listener?.up();
    const confirmNext = async () => {
      bus.subscribing.shift()?.confirm();
      await settle();
    };
    await confirmNext();
    bus.carryProbe();
    await settle();
    expect(bus.subscribing[0]?.topics[0]).toBe('p:channel:late');
    await confirmNext();
    expect(subscribed).not.toHaveBeenCalled();
    await confirmNext();
    expect(subscribed).toHaveBeenCalledTimes(1);
  });

  it('renews all subscriptions after a loss before it is available again', async () => {
    const { bus, broker, changes } = createBroker();
    await bus.comeUp();
    broker.subscribe(subscriber, [channel], () => {});
    await bus.confirmAll();
    bus.listener?.down();
    let isSubscribed = false;
    broker.subscribe({ deliver: () => true }, [channel], () => {
      isSubscribed = true;
    });

    bus.listener?.up();
    bus.subscribing.shift()?.confirm();
    await settle();
    bus.carryProbe();
    await settle();
    expect(bus.subscribing.map(({ topics }) => topics)).toEqual([['p:channel:a']]);
    expect([broker.isAvailable, isSubscribed]).toEqual([false, false]);
    await bus.confirmAll();
    expect([broker.isAvailable, isSubscribed]).toEqual([true, true]);
    expect(changes).toEqual([true, false, true]);
  });

  it('ignores confirmations that arrive after a loss for requests from before it', async () => {
    const { bus, broker } = createBroker();
    await bus.comeUp();
    let isSubscribed = false;
    broker.subscribe(subscriber, [channel], () => {
      isSubscribed = true;
    });
    const before = bus.subscribing.shift();
    bus.listener?.down();
    before?.confirm();
    await settle();
    expect(isSubscribed).toBe(false);
  });

  it.each(['never comes back', 'is not sent'])(
    'resets a bus on which a text to its own topic %s',
    async (what) => {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
      const { bus, broker } = createBroker();
      bus.listener?.up();
      bus.subscribing.shift()?.confirm();
      await settle();
      expect(bus.published.map(({ topic }) => topic)).toEqual([expect.stringMatching(/^p:node:/)]);

      if (what === 'is not sent') bus.published[0]?.fail();
      else bus.published[0]?.reach(1);
      await settle();
      vi.advanceTimersByTime(2_000);
      await settle();

      expect(bus.resets).toEqual(['what this node publishes does not come back to it']);
      expect(broker.isAvailable).toBe(false);
    },
  );

  it('does not reset a bus for a text published before a loss', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { bus, broker } = createBroker();
    bus.listener?.up();
    bus.subscribing.shift()?.confirm();
    await settle();
    bus.listener?.down();
    await bus.comeUp();
    vi.advanceTimersByTime(2_000);
    await settle();
    expect([bus.resets, broker.isAvailable]).toEqual([[], true]);
  });

  it('leaves no timer that would delay the shutdown', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    for (const isSubscribed of [false, true]) {
      const { bus, broker } = createBroker();
      bus.listener?.up();
      if (isSubscribed) bus.subscribing.shift()?.confirm();
      await settle();
      await broker.close();
      if (!isSubscribed) bus.subscribing.shift()?.confirm();
      await settle();
      expect([vi.getTimerCount(), bus.resets]).toEqual([0, []]);
    }
  });

  it('keeps no state for connections that closed while they waited', async () => {
    const { bus, broker } = createBroker();
    broker.subscribe(subscriber, [channel], () => {});
    const comeAndGo = () => {
      const visitor = { deliver: () => true };
      broker.subscribe(visitor, [channel], () => visitor.deliver());
      broker.unsubscribe(visitor);
      return new WeakRef(visitor);
    };
    const visitors = Array.from({ length: 100 }, comeAndGo);

    setFlagsFromString('--expose-gc');
    const collectGarbage = runInNewContext('gc');
    // What a WeakRef was asked for lives to the end of the turn.
    await new Promise((resolve) => setImmediate(resolve));
    collectGarbage();

    expect(visitors.filter((visitor) => visitor.deref() !== undefined)).toEqual([]);
    await bus.comeUp();
  });
});
