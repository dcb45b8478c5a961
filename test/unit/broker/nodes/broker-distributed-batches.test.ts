import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { BrokerUnavailable } from '../../../../src/broker/broker.ts';
import { payloadOf } from '../../../../src/hub/frame.ts';
import type { Channel } from '../../../../src/protocol/channel.ts';
import { settle } from '../../../support/manual-bus.ts';
import { channel, createBroker, OTHER, subscriber } from './setup.ts';

afterEach(() => {
  vi.useRealTimers();
});

describe('DistributedBroker, with a batch', () => {
  const batch = {
    publications: [
      { channel, message: '{"n":1}' },
      { channel: 'b' as Channel, message: '{"n":1}' },
      { channel, message: '{"n":2}' },
    ],
    entrySizes: [2, 1],
    jti: 'x',
  };

  async function publishBatch() {
    const all = createBroker();
    await all.bus.comeUp();
    const published = all.broker.publishBatch(batch);
    const sent = all.bus.batches[0];
    const [node, id] = sent?.batch.head.split(' ') ?? [];
    const answer = (text: string) => all.bus.listener?.message(`p:node:${node}`, `${id} ${text}`);
    return { ...all, published, sent, answer };
  }

  it('sends it as one, with every text once, and adds up what the nodes have counted', async () => {
    const { bus, broker, published, sent, answer } = await publishBatch();
    expect(sent?.batch).toEqual({
      head: expect.stringMatching(/^[-0-9a-f]{36} [0-9]+$/),
      topics: ['p:channel:a', 'p:channel:b', 'p:channel:a'],
      textOf: [0, 0, 1],
      texts: ['{"n":1}', '{"n":2}'],
      kept: [true, true, true],
      jti: 'x',
    });
    answer('0:5 2:5');
    sent?.reach(4);
    await settle();
    answer('1:7');
    answer('0:1');
    expect(await published).toEqual({ results: [13, 5], isPartial: false, isDuplicate: false });
    await settle();
    expect([...bus.answers]).toEqual([['x', '13 5']]);
    expect(broker.malformedTexts).toBe(0);
  });

  it('answers what is there at the deadline, and stores that it is partial', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { bus, published, sent, answer } = await publishBatch();
    sent?.reach(2);
    answer('1:2');
    await settle();
    vi.advanceTimersByTime(2_000);
    expect(await published).toEqual({ results: [2, 0], isPartial: true, isDuplicate: false });
    await settle();
    expect([...bus.answers]).toEqual([['x', '~2 0']]);
  });

  it.each([
    ['3 0', { results: [3, 0], isPartial: false, isDuplicate: true }],
    ['~3 0', { results: [3, 0], isPartial: true, isDuplicate: true }],
    ['what no node has stored', { results: [], isPartial: true, isDuplicate: true }],
    [undefined, { results: [], isPartial: true, isDuplicate: true }],
  ])('answers a duplicate with what was stored: %j', async (stored, expected) => {
    const { bus, published, sent } = await publishBatch();
    if (stored !== undefined) bus.answers.set('x', stored);
    sent?.reach('duplicate');
    expect(await published).toEqual(expected);
    expect(bus.answers.get('x')).toBe(stored);
  });

  it.each(['fails', 'hangs'])(
    'is unavailable when sending it %s, and stores nothing',
    async (how) => {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
      const { bus, published, sent } = await publishBatch();
      if (how === 'fails') sent?.fail();
      else vi.advanceTimersByTime(2_000);
      await expect(published).rejects.toThrow(BrokerUnavailable);
      sent?.reach(1);
      await settle();
      expect(bus.answers.size).toBe(0);
    },
  );

  it('sends nothing while it is away', async () => {
    const { bus, broker } = createBroker();
    await expect(broker.publishBatch(batch)).rejects.toThrow(BrokerUnavailable);
    expect(bus.batches).toEqual([]);
  });

  it('answers once for all that comes in one turn, its own too', async () => {
    const { bus, hub, published, sent } = await publishBatch();
    hub.subscribe(subscriber, channel);
    for (const index of [0, 1, 2]) bus.listener?.message('p:channel:a', `${OTHER} 7:${index} {}`);
    bus.listener?.message('p:channel:a', `${OTHER} 8:999 {}`);
    for (const index of [0, 2]) {
      bus.listener?.message('p:channel:a', `${sent?.batch.head}:${index} {}`);
    }
    expect(bus.published).toEqual([]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(bus.published.map(({ topic, text }) => [topic, text])).toEqual([
      [`p:node:${OTHER}`, '7 0:1 1:1 2:1'],
      [`p:node:${OTHER}`, '8 999:1'],
    ]);
    sent?.reach(2);
    expect(await published).toMatchObject({ results: [1, 1] });
  });

  it.each(['0:', ':1', '0:1 ', '0:-1', '1000:1', '00:1', '0:1:1', '0:1 5', '0:1e3', '3:1'])(
    'takes no answer that no node can have given: %j',
    async (text) => {
      const { broker, published, sent, answer } = await publishBatch();
      sent?.reach(1);
      await settle();
      answer(text);
      expect(broker.malformedTexts).toBe(1);
      answer('0:1');
      expect(await published).toMatchObject({ results: [1, 0], isPartial: false });
    },
  );

  it.each(['7:', '7:x', '7:1000', '7:-1', '7:01', '7:1:1'])(
    'takes no broadcast called %j',
    async (name) => {
      const { bus, broker } = createBroker();
      await bus.comeUp();
      bus.listener?.message('p:channel:a', `${OTHER} ${name} {}`);
      expect(broker.malformedTexts).toBe(1);
    },
  );

  it('confirms no subscription before what came earlier has been handed out', async () => {
    let time = performance.now();
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => {
      time += 20;
      return time;
    });
    onTestFinished(() => clock.mockRestore());
    const { bus, hub, broker } = createBroker();
    await bus.comeUp();
    const order: string[] = [];
    hub.subscribe({ deliver: (frame) => order.push(payloadOf(frame).toString()) > 0 }, channel);
    order.length = 0;
    const late = { deliver: () => true };
    const gone = { deliver: () => true };
    for (const each of [late, gone])
      broker.subscribe(each, [channel], () => order.push(each === late ? 'late' : 'gone'));
    for (const index of [0, 1, 2])
      bus.listener?.message('p:channel:a', `${OTHER} 7:${index} {"n":${index}}`);
    await bus.confirmAll();
    expect(broker.subscribe(late, [channel], () => order.push('again'))).toBe(false);
    broker.unsubscribe(gone);
    bus.listener?.message('p:channel:a', `${OTHER} 8 {"n":"single"}`);
    expect(order.length).toBeLessThan(3);
    while (order.length < 6) await new Promise((resolve) => setImmediate(resolve));
    expect(order).toEqual(['{"n":0}', '{"n":1}', '{"n":2}', 'late', 'again', '{"n":"single"}']);
    await new Promise((resolve) => setImmediate(resolve));
    expect(broker.subscribe(late, [channel], () => {})).toBe(true);
  });
});
