import { expect, it, onTestFinished, vi } from 'vitest';
import { encodeResults, parseResults } from '../../../../src/broker/batch-results.ts';
import type { Recovery, RecoveryRequest } from '../../../../src/broker/history.ts';
import { payloadOf } from '../../../../src/hub/frame.ts';
import { POSITIONED } from '../../../../src/hub/hub.ts';
import type { Channel } from '../../../../src/protocol/channel.ts';
import { settle } from '../../../support/manual-bus.ts';
import { channel, createBroker, OTHER } from './setup.ts';

const other = 'b' as Channel;

const at = (number: number) => `q7Kf2wX9.${number}`;

const request: RecoveryRequest = {
  channels: [channel, other],
  since: at(5),
  maxMessages: 1_000,
  maxBytes: 2_000_000,
};

const answer = { position: at(9), verdicts: [0, 0], publications: [] };

/**
 * A node whose bus is there, with a subscriber of the channels. With `isSlow` every step of its queue takes longer than a
 * turn of the event loop may, without it none takes any time.
 */
async function startBroker({ isSlow = false, maxRecoveries = 4 } = {}) {
  let time = performance.now();
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => {
    if (isSlow) time += 20;
    return time;
  });
  onTestFinished(() => clock.mockRestore());
  const all = createBroker({ hasHistory: true, maxRecoveries });
  await all.bus.comeUp();
  const subscriber = { deliver: () => true };
  all.broker.subscribe(subscriber, request.channels, () => {});
  await all.bus.confirmAll();
  return { ...all, subscriber };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

it('publishes a single broadcast as a batch of one, and says whether it is kept', async () => {
  const { bus, broker } = await startBroker();
  const published = broker.publish({ channel, message: '{"n":1}', isKept: false });
  const [sent] = bus.batches;
  expect(sent?.batch).toEqual({
    head: expect.stringMatching(/^[-0-9a-f]{36} [0-9]+$/),
    topics: ['p:channel:a'],
    textOf: [0],
    texts: ['{"n":1}'],
    kept: [false],
    jti: undefined,
  });
  sent?.reach(1, at(7));
  await settle();
  bus.listener?.message('p:channel:a', `${sent?.batch.head}:0 {"n":1}`);
  expect(await published).toEqual({ deliveries: 0, isPartial: false });
});

it('answers a batch with the position of its last pair, and stores it for duplicates', async () => {
  const { bus, broker } = await startBroker();
  const publications = [
    { channel, message: '{}' },
    { channel: other, message: '{}', isKept: false },
  ];
  const published = broker.publishBatch({ publications, entrySizes: [1, 1], jti: 'x' });
  expect(bus.batches[0]?.batch.kept).toEqual([true, false]);
  bus.batches[0]?.reach(0, at(8));
  expect(await published).toMatchObject({ results: [0, 0], position: at(8) });
  expect([...bus.answers]).toEqual([['x', `0 0@${at(8)}`]]);

  const again = broker.publishBatch({ publications, entrySizes: [1, 1], jti: 'x' });
  bus.batches[1]?.reach('duplicate');
  expect(await again).toMatchObject({ results: [0, 0], position: at(8), isDuplicate: true });
});

it.each([
  { results: [2, 5, 0], isPartial: false, position: undefined },
  { results: [2], isPartial: true, position: undefined },
  { results: [2, 5], isPartial: false, position: at(7) },
  { results: [0], isPartial: true, position: at(9_007_199_254_740_991) },
])('remembers the results of a batch as they are: %j', (results) => {
  expect(parseResults(encodeResults(results))).toEqual(results);
});

it.each(['@', '2@', '2@x', `2@${at(1)} `, `2 ${at(1)}`, `@${at(1)}`, `2@${at(1)}0000000000000000`])(
  'takes no results that no node has stored: %j',
  (text) => {
    expect(parseResults(text)).toBeUndefined();
  },
);

it('hands out the position with a message, and takes texts with and without one', async () => {
  const { bus, hub, broker } = await startBroker();
  const texts: string[] = [];
  const deliver = (frame: Parameters<typeof payloadOf>[0]) =>
    texts.push(payloadOf(frame).toString()) > 0;
  hub.subscribe({ kind: POSITIONED, deliver }, channel);
  texts.length = 0;
  bus.listener?.message('p:channel:a', `${OTHER} 7:0@${at(6)} {"n":1}`);
  bus.listener?.message('p:channel:a', `${OTHER} 7:1 {"n":2}`);
  bus.listener?.message('p:channel:a', `${OTHER} 7:2@ {"n":2.5}`);
  bus.listener?.message('p:channel:a', `${OTHER} 8 {"n":3}`);
  expect(texts).toEqual([
    `{"event":"message","channel":"a","position":"${at(6)}","data":{"n":1}}`,
    '{"event":"message","channel":"a","data":{"n":2}}',
    '{"event":"message","channel":"a","data":{"n":2.5}}',
    '{"event":"message","channel":"a","data":{"n":3}}',
  ]);
  expect([broker.position(), broker.malformedTexts]).toEqual([at(6), 0]);
});

it.each(['7@', '7:0@x', '7:0@q7Kf2wX9', '7:0@q7Kf2wX9.', '7:0@q7Kf2wX.1', `7@${'q7Kf2wX9.1'}`])(
  'drops a text that no node can have sent: %j',
  async (head) => {
    const { bus, broker } = await startBroker();
    bus.listener?.message('p:channel:a', `${OTHER} ${head} {}`);
    expect([broker.malformedTexts, broker.position()]).toEqual([1, undefined]);
  },
);

it('knows the position of a tick', async () => {
  const { bus, broker } = await startBroker();
  expect(broker.position()).toBeUndefined();
  bus.listener?.reached(at(3));
  expect(broker.position()).toBe(at(3));
});

it('asks the bus what was missed and gives the answer in the step in which it comes', async () => {
  const { bus, broker, subscriber } = await startBroker();
  let recovery: Recovery | undefined;
  broker.recover(subscriber, request, (answered) => {
    recovery = answered;
    expect(broker.position()).toBe(at(9));
  });
  expect(bus.recoveries.map((each) => each.request)).toEqual([
    {
      topics: ['p:channel:a', 'p:channel:b'],
      since: at(5),
      maxMessages: 1_000,
      maxBytes: 2_000_000,
    },
  ]);
  bus.listener?.recovered(bus.recoveries[0]?.id ?? 0, {
    position: at(9),
    verdicts: ['messages', 1],
    publications: [{ index: 1, position: at(6), message: '{"n":1}' }],
  });
  expect(recovery).toEqual({
    position: at(9),
    verdicts: ['messages', 1],
    publications: [{ channel: other, position: at(6), message: '{"n":1}' }],
  });
});

it('joins nobody and names no position before what came earlier has been handed out', async () => {
  const { bus, hub, broker, subscriber } = await startBroker({ isSlow: true });
  const order: string[] = [];
  const deliver = () => order.push(`handed out at ${broker.position()}`) > 0;
  hub.subscribe({ deliver }, channel);
  order.length = 0;
  broker.recover(subscriber, request, () => order.push(`joined at ${broker.position()}`));

  for (const n of [6, 7, 8]) {
    bus.listener?.message('p:channel:a', `${OTHER} 7:${n}@${at(n)} {"n":${n}}`);
  }
  bus.listener?.recovered(bus.recoveries[0]?.id ?? 0, answer);
  bus.listener?.message('p:channel:a', `${OTHER} 8:0@${at(10)} {"n":10}`);
  bus.listener?.reached(at(11));

  expect(order.length).toBeLessThan(3);
  expect(broker.position()).toBe(order.length > 0 ? at(5 + order.length) : undefined);
  while (broker.position() !== at(11)) await turn();
  // A subscriber is handed the message before its position counts as reached.
  expect(order).toEqual([
    'handed out at undefined',
    `handed out at ${at(6)}`,
    `handed out at ${at(7)}`,
    `joined at ${at(9)}`,
    `handed out at ${at(9)}`,
  ]);
});

it('reads for four at a time, and hands out what was read before it reads for the next', async () => {
  const { bus, broker } = await startBroker();
  const recovered = vi.fn();
  const subscribers = Array.from({ length: 10 }, () => ({ deliver: () => true }));
  for (const each of subscribers) broker.recover(each, request, recovered);
  expect(bus.recoveries).toHaveLength(4);
  bus.listener?.recovered(bus.recoveries[0]?.id ?? 0, answer);
  expect([bus.recoveries.length, recovered.mock.calls.length]).toEqual([5, 1]);

  // One that is left while it is read takes its place until the bus has answered; one that waits takes none.
  for (const gone of [1, 8]) broker.unsubscribe(subscribers[gone] ?? { deliver: () => true });
  expect(bus.recoveries).toHaveLength(5);
  bus.listener?.recovered(bus.recoveries[1]?.id ?? 0, answer);
  expect([bus.recoveries.length, recovered.mock.calls.length]).toEqual([6, 1]);
  for (let n = 2; n < bus.recoveries.length; n += 1) {
    bus.listener?.recovered(bus.recoveries[n]?.id ?? 0, answer);
  }
  expect([bus.recoveries.length, recovered.mock.calls.length]).toEqual([9, 8]);
});

it('does not have those wait who begin now, and asks a bus for as many as it can take', async () => {
  const { bus, broker } = await startBroker();
  for (let n = 0; n < 5; n += 1) broker.recover({ deliver: () => true }, request, () => {});
  const recovered = vi.fn();
  const now = { ...request, since: null };
  for (let n = 0; n < 5; n += 1) broker.recover({ deliver: () => true }, now, recovered);
  expect(bus.recoveries.map((each) => each.request.since)).toEqual([
    ...Array.from({ length: 4 }, () => at(5)),
    ...Array.from({ length: 5 }, () => null),
  ]);
  // They give no room to others either.
  for (const { id } of bus.recoveries.slice(4)) bus.listener?.recovered(id, answer);
  expect([recovered.mock.calls.length, bus.recoveries.length]).toEqual([5, 9]);

  const roomy = await startBroker({ maxRecoveries: 10 });
  for (let n = 0; n < 11; n += 1) roomy.broker.recover({ deliver: () => true }, request, () => {});
  expect(roomy.bus.recoveries).toHaveLength(10);
});

it('reads for the next when somebody leaves whose answer waits in the queue', async () => {
  const { bus, broker } = await startBroker({ isSlow: true });
  const subscribers = Array.from({ length: 5 }, () => ({ deliver: () => true }));
  const recovered = vi.fn();
  for (const each of subscribers) broker.recover(each, request, recovered);
  for (const n of [6, 7]) bus.listener?.message('p:channel:a', `${OTHER} 7:${n}@${at(n)} {}`);
  bus.listener?.recovered(bus.recoveries[0]?.id ?? 0, answer);
  expect(bus.recoveries).toHaveLength(4);
  broker.unsubscribe(subscribers[0] ?? { deliver: () => true });
  expect(bus.recoveries).toHaveLength(5);
  while (broker.position() !== at(9)) await turn();
  expect(recovered).not.toHaveBeenCalled();
});

it('says so when it cannot be read, and reads for the next', async () => {
  const { bus, broker } = await startBroker();
  const recovered = vi.fn();
  for (let n = 0; n < 5; n += 1) broker.recover({ deliver: () => true }, request, recovered);
  bus.recoveries[0]?.fail();
  await settle();
  expect(recovered.mock.calls).toEqual([[undefined]]);
  expect(bus.recoveries).toHaveLength(5);
  // Its answer would come too late.
  bus.listener?.recovered(bus.recoveries[0]?.id ?? 0, answer);
  expect(recovered).toHaveBeenCalledTimes(1);
});

it('answers without asking when the bus keeps nothing', async () => {
  const { bus, broker } = createBroker();
  await bus.comeUp();
  const recovered = vi.fn();
  broker.recover({ deliver: () => true }, request, recovered);
  broker.recover({ deliver: () => true }, { ...request, since: null }, recovered);
  expect(recovered.mock.calls).toEqual([
    [{ position: undefined, verdicts: ['off', 'off'], publications: [] }],
    [{ position: undefined, verdicts: [], publications: [] }],
  ]);
  expect([broker.hasHistory, broker.position()]).toEqual([false, undefined]);
});

it('knows no position after a loss, not even that of what it still hands out', async () => {
  const { bus, broker, losses } = await startBroker({ isSlow: true });
  for (const n of [6, 7]) bus.listener?.message('p:channel:a', `${OTHER} 7:${n}@${at(n)} {}`);
  bus.listener?.reached(at(8));
  bus.listener?.down();
  expect([broker.position(), losses()]).toEqual([undefined, 1]);
  bus.listener?.message('p:channel:a', `${OTHER} 7:8@${at(9)} {}`);
  bus.listener?.up();
  const positions = new Set<string | undefined>();
  for (let n = 0; n < 20; n += 1) {
    positions.add(broker.position());
    await turn();
  }
  expect([...positions]).toEqual([undefined]);
  bus.listener?.reached(at(12));
  expect(broker.position()).toBe(at(12));
});

it('tells of no loss of messages when none are kept', async () => {
  const { bus, losses, changes } = createBroker();
  await bus.comeUp();
  bus.listener?.down();
  expect([losses(), changes]).toEqual([0, [true, false]]);
});

it('reads again after a loss what was under way, when the subscription is renewed', async () => {
  const { bus, broker, subscriber } = await startBroker();
  const gone = { deliver: () => true };
  const recovered = vi.fn();
  broker.recover(subscriber, request, recovered);
  broker.recover(gone, request, () => recovered('gone'));
  bus.listener?.down();
  broker.unsubscribe(gone);
  bus.listener?.up();
  for (const { id } of [...bus.recoveries]) bus.listener?.recovered(id, answer);
  await settle();
  expect([recovered.mock.calls.length, bus.recoveries.length]).toEqual([0, 2]);

  await bus.confirmAll();
  expect(bus.recoveries).toHaveLength(3);
  bus.listener?.recovered(bus.recoveries[2]?.id ?? 0, answer);
  expect(recovered.mock.calls).toEqual([[answer]]);
});

it('asks nothing before the channels are subscribed to after a loss', async () => {
  const { bus, broker, subscriber } = await startBroker();
  bus.listener?.down();
  bus.listener?.up();
  broker.recover(subscriber, request, () => {});
  expect(bus.recoveries).toEqual([]);
  await bus.confirmAll();
  expect(bus.recoveries).toHaveLength(1);
});
