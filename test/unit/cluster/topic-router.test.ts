import { describe, expect, it } from 'vitest';
import { channelTopicsOf } from '../../../src/broker/bus.ts';
import { MemoryHistory } from '../../../src/broker/history-memory.ts';
import { bytesOf, type ToPrimary, type ToWorker } from '../../../src/cluster/topic-messages.ts';
import { TopicRouter } from '../../../src/cluster/topic-router.ts';
import type { Channel } from '../../../src/protocol/channel.ts';

const EPOCH = expect.stringMatching(/^[0-9A-Za-z]{8}$/);

/** A primary whose clock stands still, with what it has told each worker, and the positions that it gives. */
function createRouter({ hasHistory = true } = {}) {
  let now = 1_000;
  const limits = { historyMessages: 3, historyMs: 1_000, historyBytes: 1_048_576 };
  const history = new MemoryHistory(limits, () => now);
  const sent: Record<string, ToWorker[]> = { a: [], b: [] };
  const router = new TopicRouter<string>(
    (worker, message) => sent[worker]?.push(message),
    hasHistory ? { history, channelTopics: channelTopicsOf('p:') } : undefined,
  );
  const epoch = history.position().slice(0, 8);
  /** What the worker was told since it was asked last. */
  const told = (worker: string) => sent[worker]?.splice(0) ?? [];
  const tell = (worker: string, ...messages: ToPrimary[]) => {
    for (const message of messages) router.receive(worker, message);
  };
  const at = (number: number) => `${epoch}.${number}`;
  const pass = (microseconds: number) => {
    now += microseconds;
  };
  return { router, history, told, tell, at, pass, epoch };
}

const subscribe = (...channels: string[]): ToPrimary => ({
  kind: 'subscribe',
  id: 1,
  topics: channels.map((channel) => `p:channel:${channel}`),
});

const batch = (topics: readonly string[], texts: readonly string[], kept?: readonly boolean[]) => ({
  kind: 'publish batch' as const,
  id: 2,
  head: 'node 7',
  topics: topics.map((channel) => `p:channel:${channel}`),
  textOf: topics.map((_, index) => Math.min(index, texts.length - 1)),
  texts,
  ...(kept && { kept }),
  jti: undefined,
});

const recover = (since: string | null, ...channels: string[]): ToPrimary => ({
  kind: 'recover',
  id: 3,
  topics: channels.map((channel) => `p:channel:${channel}`),
  since,
  maxMessages: 1_000,
  maxBytes: 1_000_000,
});

describe('a primary that keeps nothing', () => {
  it('says no word more than it did', () => {
    const { router, told, tell } = createRouter({ hasHistory: false });
    tell('a', subscribe('x', 'y'), batch(['x', 'y'], ['{}']), batch(['x'], ['{}']));
    router.tick();
    const part = (topics: string[]) => ({
      kind: 'batch part',
      head: 'node 7',
      topics: topics.map((channel) => `p:channel:${channel}`),
      indexes: topics.map((_, index) => index),
      textOf: topics.map(() => 0),
      texts: ['{}'],
    });
    // Strictly: a member that is undefined would travel too.
    expect(told('a')).toStrictEqual([
      { kind: 'done', id: 1, reached: 0 },
      part(['x', 'y']),
      { kind: 'done', id: 2, reached: 2 },
      part(['x']),
      { kind: 'done', id: 2, reached: 1 },
    ]);
  });
});

describe('a primary that keeps messages', () => {
  it('gives each pair a position of its own, in their order, and shows those that are kept', () => {
    const { told, tell, at, epoch } = createRouter();
    expect(epoch).toEqual(EPOCH);
    tell('a', subscribe('x', 'y'));
    tell('b', subscribe('y'));
    told('a');
    told('b');
    tell('a', batch(['x', 'y', 'y'], ['{"n":1}', '{"n":2}'], [true, true, false]));
    expect(told('a')).toEqual([
      expect.objectContaining({ positions: [at(1_001), at(1_002), undefined] }),
      { kind: 'done', id: 2, reached: 5, position: at(1_003) },
    ]);
    expect(told('b')).toEqual([
      expect.objectContaining({ indexes: [1, 2], positions: [at(1_002), undefined] }),
    ]);
  });

  it('carries a single broadcast as one text', () => {
    const { told, tell, at } = createRouter();
    tell('b', subscribe('x'));
    told('b');
    tell('a', batch(['x'], ['{"n":1}'], [true]), batch(['x'], ['{"n":2}'], [false]));
    const topic = 'p:channel:x';
    expect(told('b')).toEqual([
      { kind: 'message', topic, text: `node 7:0@${at(1_001)} {"n":1}` },
      { kind: 'message', topic, text: 'node 7:0 {"n":2}' },
    ]);
    tell('a', batch(['nobody'], ['{}'], [true]));
    expect(told('a').at(-1)).toEqual({ kind: 'done', id: 2, reached: 0, position: at(1_003) });
  });

  it('answers what was missed in its place among the messages', () => {
    const { told, tell, at } = createRouter();
    tell('a', batch(['x', 'y', 'x'], ['{"n":1}', '{"n":2}', '{"n":3}'], [true, true, false]));
    tell('b', subscribe('x', 'y'));
    told('b');
    tell('b', recover(at(1_000), 'y', 'x'));
    tell('a', batch(['x'], ['{"n":4}'], [true]));
    const [recovered, live] = told('b');
    expect(recovered).toEqual({
      kind: 'recovered',
      id: 3,
      position: at(1_003),
      verdicts: [1, 1],
      indexes: [1, 0],
      positions: [at(1_001), at(1_002)],
      texts: ['{"n":1}', '{"n":2}'],
    });
    expect(live).toMatchObject({ text: `node 7:0@${at(1_004)} {"n":4}` });
  });

  it('has the bytes of a replay count towards what a worker may leave unread', () => {
    const { told, tell, at } = createRouter();
    const text = `{"text":"${'x'.repeat(10_000)}"}`;
    tell('a', batch(['x'], [text], [true]));
    tell('b', recover(at(1), 'x'));
    expect(bytesOf(told('b'))).toBeGreaterThan(10_000);
  });

  it('says why it cannot tell what was missed', () => {
    const { told, tell, at, pass } = createRouter();
    for (let n = 0; n < 4; n += 1) tell('a', batch(['x'], ['{}'], [true]));
    tell('b', recover(at(1_000), 'x', 'y'), recover('garbage', 'x'), recover(at(9_999), 'x'));
    expect(told('b')).toMatchObject([
      { verdicts: ['messages', 0] },
      { verdicts: ['malformed'] },
      { verdicts: ['future'] },
    ]);
    pass(1_001_000);
    tell('b', recover(at(1_002), 'x'), recover(null, 'x'));
    expect(told('b')).toMatchObject([
      { verdicts: ['age'] },
      { verdicts: [], texts: [], position: at(1_002_000) },
    ]);
  });

  it('tells each worker the position of now when it starts, and with every tick', () => {
    const { router, history, told, tell, at, pass } = createRouter();
    tell('a', subscribe('x'), subscribe('y'));
    const done = { kind: 'done', id: 1, reached: 0 };
    expect(told('a')).toEqual([done, { kind: 'reached', position: at(1_000) }, done]);
    tell('a', batch(['x'], ['{}'], [true]));
    told('a');
    pass(2_000_000);
    router.tick();
    expect(told('a')).toEqual([{ kind: 'reached', position: at(2_001_000) }]);
    // What is too old goes, also when nobody asks for it.
    expect(history.entries).toBe(0);
    router.forget('a');
    router.tick();
    expect(told('a')).toEqual([]);
    tell('a', subscribe('x'));
    expect(told('a')).toHaveLength(2);
  });

  it('keeps by the name of the channel, as a single process does', () => {
    const { history, tell, at } = createRouter();
    tell('a', batch(['x'], ['{}'], [true]));
    const request = { channels: ['x' as Channel], since: at(1), maxMessages: 9, maxBytes: 99 };
    expect(history.recover(request)).toMatchObject({ verdicts: [1] });
  });
});
