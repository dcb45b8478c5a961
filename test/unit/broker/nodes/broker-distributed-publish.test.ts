import { afterEach, describe, expect, it, vi } from 'vitest';
import { BrokerUnavailable } from '../../../../src/broker/broker.ts';
import { payloadOf } from '../../../../src/hub/frame.ts';
import { settle } from '../../../support/manual-bus.ts';
import { broadcast, channel, createBroker, OTHER, subscriber } from './setup.ts';

afterEach(() => {
  vi.useRealTimers();
});

describe('DistributedBroker, publishing', () => {
  it('adds up the answers of all nodes that were reached, in whatever order they come', async () => {
    const { bus, broker } = createBroker();
    await bus.comeUp();
    const published = broker.publish(broadcast);
    const [question] = bus.published;
    const [node, id] = question?.text.split(' ') ?? [];
    expect(question?.text).toBe(`${node} ${id} {"n":1}`);

    bus.listener?.message(`p:node:${node}`, `${id} 5`);
    question?.reach(3);
    await settle();
    bus.listener?.message(`p:node:${node}`, `${id} 0`);
    bus.listener?.message(`p:node:${node}`, `${id} 2`);

    expect(await published).toEqual({ deliveries: 7, isPartial: false });
  });

  it('answers the sum so far at the deadline, and says that it is partial', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { bus, broker } = createBroker();
    await bus.comeUp();
    const published = broker.publish(broadcast);
    const [question] = bus.published;
    const [node, id] = question?.text.split(' ') ?? [];
    question?.reach(2);
    bus.listener?.message(`p:node:${node}`, `${id} 5`);
    await settle();
    vi.advanceTimersByTime(2_000);
    expect(await published).toEqual({ deliveries: 5, isPartial: true });
    // Too late, and no harm.
    bus.listener?.message(`p:node:${node}`, `${id} 5`);
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each(['fails', 'hangs'])('is unavailable for a broadcast whose sending %s', async (how) => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { bus, broker } = createBroker();
    await bus.comeUp();
    const published = broker.publish(broadcast);
    if (how === 'fails') bus.published[0]?.fail();
    else vi.advanceTimersByTime(2_000);
    await expect(published).rejects.toThrow();
  });

  it('tells the publisher how many it delivered, 0 too', async () => {
    const { bus, hub } = createBroker();
    await bus.comeUp();
    bus.listener?.message('p:channel:a', `${OTHER} 7 {"n":1}`);
    hub.subscribe(subscriber, channel);
    bus.listener?.message('p:channel:a', `${OTHER} 8 {"n": 1}`);
    expect(bus.published.map(({ topic, text }) => [topic, text])).toEqual([
      [`p:node:${OTHER}`, '7 0'],
      [`p:node:${OTHER}`, '8 1'],
    ]);
  });

  it('answers only its own counters when too many requests are open', async () => {
    const { bus, hub, broker } = createBroker();
    await bus.comeUp();
    hub.subscribe(subscriber, channel);
    const published = Array.from({ length: 10_000 }, () => broker.publish(broadcast));
    await expect(broker.publish(broadcast)).rejects.toThrow(BrokerUnavailable);
    expect(await broker.stats()).toMatchObject({ deliveries: 1, subscriptions: 1 });
    for (const { reach } of bus.published) reach(0);
    await Promise.all(published);
  });
  const HEADER = `${OTHER} 1`;

  it.each([
    ['p:channel:a', ''],
    ['p:channel:a', 'hello'],
    ['p:channel:a', '{"n":1}'],
    ['p:channel:a', `other 1 {"n":1}`],
    ['p:channel:a', `${OTHER.toUpperCase()} 1 {"n":1}`],
    ['p:channel:a', `${OTHER}1 {"n":1}`],
    ['p:channel:a', `${OTHER} x {"n":1}`],
    ['p:channel:a', `${OTHER} -1 {"n":1}`],
    ['p:channel:a', `${OTHER} 01 {"n":1}`],
    ['p:channel:a', `${OTHER} 9007199254740993 {"n":1}`],
    ['p:channel:a', HEADER],
    ['p:channel:a', `${HEADER} `],
    ['p:channel:a', `${HEADER} hello`],
    ['p:channel:a', `${HEADER} {`],
    ['p:channel:a', `${HEADER} [{}]`],
    ['p:channel:a', `${HEADER} {"n":1`],
    ['p:channel:a', `${HEADER} "{}"`],
    ['p:stats', ''],
    ['p:stats', 'other 1'],
    ['p:stats', `${HEADER} 1`],
    ['p:stats', OTHER],
    ['p:node:own', ''],
    ['p:node:own', '1'],
    ['p:node:own', '1 '],
    ['p:node:own', '1 NaN'],
    ['p:node:own', '1 -1'],
    ['p:node:own', '1 1.5'],
    ['p:node:own', '1 1e3'],
    ['p:node:own', '1 Infinity'],
    ['p:node:own', '1  1'],
    ['p:node:own', 'x y z'],
    ['p:node:own', `1${' 1'.repeat(9)}`],
    ['p:node:x', '1 1'],
    ['elsewhere', `${HEADER} {"n":1}`],
  ])('drops and counts what no node can have sent to %s: %j', async (topic, text) => {
    const { bus, hub, broker, malformed } = createBroker();
    bus.listener?.up();
    const own = bus.subscribing[0]?.topics[0] ?? '';
    await bus.confirmAll();
    const deliver = vi.fn(() => true);
    hub.subscribe({ deliver }, channel);
    deliver.mockClear();
    const to = topic === 'p:node:own' ? own : topic;

    bus.listener?.message(to, text);

    expect(broker.malformedTexts).toBe(1);
    expect(malformed).toEqual([to]);
    expect(deliver).not.toHaveBeenCalled();
    expect(bus.published).toEqual([]);
  });

  it('ignores an answer with the wrong number of values', async () => {
    const { bus, broker } = createBroker();
    await bus.comeUp();
    const published = broker.publish(broadcast);
    const [node, id] = bus.published[0]?.text.split(' ') ?? [];
    bus.published[0]?.reach(1);
    await settle();
    bus.listener?.message(`p:node:${node}`, `${id} 1 1`);
    bus.listener?.message(`p:node:${node}`, `${id} 3`);
    expect(await published).toEqual({ deliveries: 3, isPartial: false });
    expect(broker.malformedTexts).toBe(1);
  });

  it('carries a message that was signed with white space around it', async () => {
    const { bus, hub, broker } = createBroker();
    await bus.comeUp();
    const texts: string[] = [];
    hub.subscribe({ deliver: (frame) => texts.push(payloadOf(frame).toString()) > 0 }, channel);
    bus.listener?.message('p:channel:a', `${OTHER} 1 \r\n\t {"n":1} \n`);
    expect(texts.at(-1)).toBe('\r\n\t {"n":1} \n');
    expect(broker.malformedTexts).toBe(0);
  });
});
