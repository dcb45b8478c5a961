import { describe, expect, it, onTestFinished } from 'vitest';
import { MasterChanged } from '../../src/broker/redis/history.ts';
import { freePort } from '../support/free-port.ts';
import { RedisServer } from '../support/redis.ts';
import { HistorySession } from './history-session.ts';
import { startRedis } from './nodes.ts';
import { SettableClock } from './settable-clock.ts';

/*
Each rule of the scripts was taken out once. What failed then, beside the model in history-model.test.ts where it says so:

| taken out                                                         | failed                                                   |
| ----------------------------------------------------------------- | -------------------------------------------------------- |
| provable: not older than the newest entry less the age (oldest)   | "before the age of the history", model                   |
| provable: that age condition at all                               | the same, "expired meanwhile and begun again", model     |
| provable: at most as many entries as are kept of a channel        | "more than is kept of a channel", model                  |
| one entry more kept than is sent                                  | "more than is kept of a channel", model                  |
| empty list: a position that is not older than the age             | "before the age of the history", model                   |
| entries that are too old are not sent                             | "before the age of the history", model                   |
| limits of the state, not of the node                              | "are those of the state"                                 |
| a new epoch for other settings                                    | "of another node begin a new epoch"                      |
| the epoch in the names of lists                                   | "are not given twice", lists                             |
| a new epoch when the clock is behind (or only from 10 s on)       | "are not given twice", model                             |
| an epoch of its own for every script that may begin one           | "follows FLUSHALL, every time", "are not given twice"    |
| the master compared                                               | "follows a restart", "follows a failover"                |
| evicted keys compared                                             | "follows the eviction of keys"                           |
| the guard; the guard removed with the epoch                       | "a clock that went forward and back"                     |
| five seconds more than the age                                    | "live five seconds longer", model                        |
| PEXPIRE                                                           | "live five seconds longer"                               |
| LPOP of what is too old                                           | "lose what is too old", "before the age of the history"  |
| the clock as the first write                                      | "is refused whole when there is no memory"               |
| the clock raised by a tick, by a recovery                         | "rise after a tick", "rise after a recovery", model      |
| positions above the clock                                         | "rise after a broadcast", model                          |
| a position for each pair                                          | "rise with every pair", "is merged by position", model   |
| the jti looked at, and kept                                       | "with a jti is published and kept once"                  |
| positions of the future, of another epoch                         | "of another epoch, of the future, or none"               |
| each of the limits of a replay, shared by its channels            | "is limited in number and in bytes"                      |
| what is not kept left out                                         | "leaves out what is not kept", model                     |
| chunks that follow each other                                     | "is read from lists of any length"                       |
*/
const epochOf = (position: string) => position.slice(0, 8);
const numberOf = (position: string) => Number(position.slice(9));
const messagesOf = ({ publications }: { publications: readonly { message: string }[] }) =>
  publications.map(({ message }) => message);

/** A Redis with a clock of its own, in seconds after ours. */
async function startClocked(...args: string[]) {
  const clock = new SettableClock();
  const redis = new RedisServer(await freePort(), args, clock.launcher);
  onTestFinished(() => redis.close());
  return { clock, redis: await redis.start() };
}

describe('positions', () => {
  it('rise with every pair of channel and message, over all nodes', async () => {
    const redis = await startRedis();
    const [one, two] = [await HistorySession.open(redis), await HistorySession.open(redis)];
    await one.listen('a', 'b');
    const posted = [
      await one.publish(['a', '(b)', 'a'], '{"n":1}'),
      await two.publish(['b'], '{"n":2}'),
      await one.tick(),
      await two.publish(['a'], '{"n":3}'),
    ];
    const numbers = posted.map(numberOf);
    expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
    expect(new Set(posted.map(epochOf)).size).toBe(1);
    // Microseconds of the clock.
    expect(Math.abs((numbers[0] ?? 0) / 1_000 - Date.now())).toBeLessThan(10_000);

    const [first = '', second = '', third = '', fourth = ''] = posted;
    const fence = await one.tick();
    const at = (offset: number) => `${epochOf(first)}.${numberOf(first) + offset}`;
    expect(one.received).toEqual([
      `head:0@${at(-2)} {"n":1}`,
      'head:1@ {"n":1}',
      `head:2@${first} {"n":1}`,
      `head:0@${second} {"n":2}`,
      `tick ${third}`,
      `head:0@${fourth} {"n":3}`,
      `tick ${fence}`,
    ]);
  });

  it.each([
    ['a broadcast', (session: HistorySession) => session.publish(['a', 'a'], '{}')],
    ['a tick', (session: HistorySession) => session.tick()],
    [
      'a recovery',
      async (session: HistorySession) => (await session.recover([], { since: null })).position,
    ],
  ])('rise after %s, while the clock is less than a second behind', async (_, give) => {
    const { clock, redis } = await startClocked();
    const session = await HistorySession.open(redis);
    const first = await give(session);
    clock.set(-0.8);
    expect(await session.tick()).toBe(first);
    expect((await session.recover(['a'], { since: first })).position).toBe(first);
    const second = await session.publish(['a', 'a'], '{}');
    expect(second).toBe(`${epochOf(first)}.${numberOf(first) + 2}`);
    expect(await session.verdict('a', first)).toBe(2);
  });

  it('are not given twice when a new epoch begins', async () => {
    const { clock, redis } = await startClocked();
    const session = await HistorySession.open(redis);
    const first = await session.publish(['a'], '{}');
    clock.set(-2);
    const second = await session.publish(['a'], '{}');
    expect(epochOf(second)).not.toBe(epochOf(first));
    expect(numberOf(second)).toBeLessThan(numberOf(first));
    expect(await session.verdict('a', first)).toBe('epoch');
    expect(await session.verdict('a', second)).toBe(0);
  });
});

describe('what was missed', () => {
  it('is merged by position, each message once, with the position of now', async () => {
    const session = await HistorySession.open(await startRedis());
    const before = await session.publish(['a', 'b'], '{"n":0}');
    const texts = Array.from({ length: 30 }, (_, n) => `{"n":${n}.0,"x":"\\u0041 🌈"}`);
    const channels = texts.map((_, n) => (n % 3 === 0 ? 'a' : n % 3 === 1 ? 'b' : 'c'));
    const last = await session.publish(channels, '', { texts });

    const answer = await session.recover(['c', 'quiet', 'a'], { since: before });
    expect(answer.verdicts).toEqual([10, 0, 10]);
    expect(answer.publications).toEqual(
      texts
        .map((message, n) => ({
          message,
          index: n % 3 === 0 ? 2 : 0,
          position: `${epochOf(last)}.${numberOf(last) - texts.length + 1 + n}`,
        }))
        .filter((_, n) => n % 3 !== 1),
    );
    expect(numberOf(answer.position)).toBeGreaterThanOrEqual(numberOf(last));
    const again = await session.recover(['a', 'b', 'c'], { since: answer.position });
    expect(again).toMatchObject({ verdicts: [0, 0, 0], publications: [] });
    expect(await session.verdict('b', last)).toBe(0);
  });

  it('is what was published before the answer, and what comes behind the answer is the rest', async () => {
    const session = await HistorySession.open(await startRedis(), { messages: 1_000 });
    await session.listen('a');
    const since = await session.tick();
    const asked: Promise<readonly [position: string, missed: readonly string[]]>[] = [];
    const published: Promise<unknown>[] = [];
    for (let n = 0; n < 300; n += 1) {
      published.push(session.publish(['a'], `{"n":${n}}`));
      if (n % 20 !== 0) continue;
      const answer = session.recover(['a'], { since });
      asked.push(answer.then((recovery) => [recovery.position, messagesOf(recovery)]));
    }
    await Promise.all(published);
    await session.tick();

    const order = session.received.map((text) => text.replace(/^head:0@\S+ /, ''));
    for (const [position, missed] of await Promise.all(asked)) {
      const before = order.slice(0, order.indexOf(`answer ${position}`));
      expect(missed).toEqual(before.filter((text) => text.startsWith('{')));
      expect(missed).not.toEqual([]);
    }
  });

  it('is nothing for who begins now', async () => {
    const session = await HistorySession.open(await startRedis());
    const last = await session.publish(['a'], '{}');
    const { position, ...answer } = await session.recover(['a'], { since: null });
    expect(answer).toEqual({ verdicts: [], publications: [] });
    expect(numberOf(position)).toBeGreaterThanOrEqual(numberOf(last));
  });

  it('leaves out what is not kept', async () => {
    const session = await HistorySession.open(await startRedis());
    const since = await session.tick();
    await session.publish(['a', '(a)', 'a'], '', { texts: ['{"n":1}', '{"n":2}', '{"n":3}'] });
    expect(messagesOf(await session.recover(['a'], { since }))).toEqual(['{"n":1}', '{"n":3}']);
    const last = await session.publish(['(b)'], '{"n":4}');
    expect(await session.recover(['b'], { since })).toMatchObject({ verdicts: [0] });
    expect(await session.verdict('a', last)).toBe(0);
  });

  it('is limited in number and in bytes, and a channel that exceeds it stops no other', async () => {
    const session = await HistorySession.open(await startRedis());
    const since = await session.tick();
    const text = (character: string) => JSON.stringify({ x: character.repeat(10) });
    await session.publish(Array(20).fill('many'), text('x'));
    await session.publish(['few', 'few', 'large'], '', {
      texts: [text('x'), text('x'), text('🌈')],
    });
    const ask = async (limits: { maxMessages?: number; maxBytes?: number }) =>
      (await session.recover(['few', 'many', 'large'], { since, ...limits })).verdicts;
    expect(await ask({})).toEqual([2, 20, 1]);
    expect(await ask({ maxMessages: 22 })).toEqual([2, 20, 'limit']);
    expect(await ask({ maxMessages: 21 })).toEqual([2, 'limit', 1]);
    expect(await ask({ maxMessages: 1 })).toEqual(['limit', 'limit', 1]);
    const [small, large] = [text('x').length, Buffer.byteLength(text('🌈'))];
    expect(await ask({ maxBytes: 22 * small + large })).toEqual([2, 20, 1]);
    expect(await ask({ maxBytes: 22 * small + large - 1 })).toEqual([2, 20, 'limit']);
    expect(await ask({ maxBytes: 2 * small + large })).toEqual([2, 'limit', 1]);
  });

  it('is read from lists of any length', async () => {
    const session = await HistorySession.open(await startRedis(), { messages: 1_000 });
    const positions = [await session.tick()];
    for (let n = 0; n < 1_000; n += 1) positions.push(await session.publish(['a'], `{"n":${n}}`));
    for (const seen of [0, 1, 2, 500, 871, 872, 935, 936, 990, 995, 996, 999, 1_000]) {
      const answer = await session.recover(['a'], { since: positions[seen] ?? '' });
      expect(messagesOf(answer)).toEqual(
        Array.from({ length: 1_000 - seen }, (_, n) => `{"n":${n + seen}}`),
      );
    }
  });
});

describe('what cannot be proved', () => {
  it('is a position of another epoch, of the future, or none at all', async () => {
    const session = await HistorySession.open(await startRedis());
    const last = await session.publish(['a'], '{}');
    expect(await session.verdict('a', `aaaaaaaa.${numberOf(last)}`)).toBe('epoch');
    expect(await session.verdict('a', `${epochOf(last)}.${numberOf(last) + 60_000_000}`)).toBe(
      'future',
    );
    expect(await session.verdict('a', `${epochOf(last)}.9999999999999999`)).toBe('future');
    for (const since of ['', 'now', `${last}0000000`, ` ${last}`]) {
      const { verdicts, publications } = await session.recover(['a', 'b'], { since });
      expect(verdicts).toEqual(['malformed', 'malformed']);
      expect(publications).toEqual([]);
    }
  });

  it('is more than is kept of a channel', async () => {
    const redis = await startRedis();
    const session = await HistorySession.open(redis, { messages: 3 });
    const since = await session.tick();
    const positions: string[] = [];
    for (let n = 0; n < 3; n += 1) positions.push(await session.publish(['a'], `{"n":${n}}`));
    expect(await session.verdict('a', since)).toBe(3);
    positions.push(await session.publish(['a'], '{"n":3}'));
    expect(await session.verdict('a', since)).toBe('messages');
    // One more than is sent is kept: it proves that nothing was between it and the others.
    expect(await session.verdict('a', positions[0] ?? '')).toBe(3);
    expect(await redis.command('LLEN', `p:history:${epochOf(since)}:channel:a`)).toBe(4);
    await session.publish(['a'], '{"n":4}');
    expect(await session.verdict('a', positions[0] ?? '')).toBe('messages');
    expect(await redis.command('LLEN', `p:history:${epochOf(since)}:channel:a`)).toBe(4);
  });

  it('is what was before the age of the history', async () => {
    const { clock, redis } = await startClocked();
    const session = await HistorySession.open(redis, { ageMs: 60_000 });
    const first = await session.tick();
    const second = await session.publish(['a', 'b'], '{"n":1}');
    clock.set(59);
    expect(await session.verdict('quiet', first)).toBe(0);
    expect(await session.verdict('a', first)).toBe(1);
    const third = await session.publish(['b'], '{"n":2}');
    clock.set(61);
    expect(await session.verdict('quiet', first)).toBe('age');
    // It is still in its list, and too old.
    expect(await session.verdict('a', first)).toBe('age');
    expect(await session.verdict('a', second)).toBe(0);
    expect(await session.verdict('b', second)).toBe(1);
    clock.set(66);
    expect(await session.verdict('a', second)).toBe('age');
    expect(await session.verdict('a', third)).toBe(0);
    expect(await session.verdict('b', second)).toBe(1);
    // The first has left the list by its age. Whoever came that far has seen it.
    await session.publish(['b'], '{"n":3}');
    expect(await redis.command('LLEN', `p:history:${epochOf(first)}:channel:b`)).toBe(2);
    expect(await session.verdict('b', first)).toBe('age');
    expect(await session.verdict('b', second)).toBe('age');
    expect(await session.verdict('b', third)).toBe(1);
  });

  it('is what a list held that has expired meanwhile and begun again', async () => {
    const { clock, redis } = await startClocked();
    const session = await HistorySession.open(redis, { ageMs: 10_000 });
    const first = await session.tick();
    await session.publish(['a'], '{"n":1}');
    clock.set(15.5);
    const second = await session.tick();
    await session.publish(['a'], '{"n":2}');
    expect(await session.verdict('a', first)).toBe('age');
    expect(await session.verdict('a', second)).toBe(1);
  });
});

describe('lists', () => {
  it('live five seconds longer than they count, and not longer', async () => {
    const redis = await startRedis();
    const session = await HistorySession.open(redis, { ageMs: 1_500.5 });
    const position = await session.publish(['a'], '{}');
    const list = `p:history:${epochOf(position)}:channel:a`;
    const left = Number(await redis.command('PTTL', list));
    expect(left).toBeGreaterThan(4_000);
    expect(left).toBeLessThanOrEqual(6_501);
    expect(await redis.command('TTL', 'p:history')).toBe(-1);
    expect(await redis.command('KEYS', '*')).toEqual(
      expect.arrayContaining([list, 'p:history', 'p:history:guard']),
    );
  });

  it('lose what is too old a few entries with every push', async () => {
    const { clock, redis } = await startClocked();
    const session = await HistorySession.open(redis, { ageMs: 10_000 });
    const first = await session.publish(Array(100).fill('a'), '{}');
    clock.set(11);
    const length = () => redis.command('LLEN', `p:history:${epochOf(first)}:channel:a`);
    await session.publish(['a'], '{}');
    expect(await length()).toBe(85);
    for (let n = 0; n < 6; n += 1) await session.publish(['a'], '{}');
    expect(await length()).toBe(7);
    expect(await session.verdict('a', first)).toBe('age');
  });
});

describe('settings', () => {
  it('of another node begin a new epoch when it connects', async () => {
    const redis = await startRedis();
    for (const change of [{ messages: 3 }, { ageMs: 1_000 }]) {
      const session = await HistorySession.open(redis);
      const before = await session.publish(['a'], '{}');
      expect(await session.verdict('a', before)).toBe(0);
      await HistorySession.open(redis);
      expect(await session.verdict('a', before)).toBe(0);
      await HistorySession.open(redis, change);
      expect(await session.verdict('a', before)).toBe('epoch');
      expect(epochOf(await session.tick())).not.toBe(epochOf(before));
    }
  });

  it('are those of the state, whatever the node has', async () => {
    const { clock, redis } = await startClocked();
    const other = await HistorySession.open(redis, { messages: 2, ageMs: 1_000 });
    const session = await HistorySession.open(redis, { messages: 5, ageMs: 20_000 });
    const since = await session.tick();
    for (let n = 0; n < 5; n += 1) await other.publish(['a'], '{}');
    expect(await other.verdict('a', since)).toBe(5);
    clock.set(10);
    expect(await other.verdict('a', since)).toBe(5);
    expect(await other.verdict('quiet', since)).toBe(0);
  });
});

describe('a new epoch', () => {
  it.each([
    ['FLUSHALL', (redis: RedisServer) => redis.command('FLUSHALL')],
    ['the loss of the state', (redis: RedisServer) => redis.command('DEL', 'p:history')],
  ])('follows %s, every time', async (_, lose) => {
    const redis = await startRedis();
    const session = await HistorySession.open(redis);
    const positions: string[] = [];
    for (let n = 0; n < 3; n += 1) {
      positions.push(await session.publish(['a'], '{}'));
      await lose(redis);
    }
    const now = await session.publish(['b'], '{}');
    for (const before of positions) expect(await session.verdict('a', before)).toBe('epoch');
    expect(await session.verdict('a', now)).toBe(0);
  });

  it('follows a restart, though everything was on disk', async () => {
    const redis = await startRedis('--appendonly', 'yes', '--appendfsync', 'always');
    const first = await HistorySession.open(redis);
    const before = await first.publish(['a'], '{}');
    await first.publish(['a'], '{}');
    await redis.kill('SIGKILL');
    await redis.start();
    expect(await redis.command('HGET', 'p:history', 'epoch')).toBe(epochOf(before));
    const second = await HistorySession.open(redis);
    expect(await second.verdict('a', before)).toBe('epoch');
  });

  it('does not follow SCRIPT FLUSH, nor a new connection', async () => {
    const redis = await startRedis();
    const session = await HistorySession.open(redis);
    const before = await session.tick();
    for (let n = 1; n <= 3; n += 1) {
      await redis.command('SCRIPT', 'FLUSH');
      expect(epochOf(await session.publish(['a'], '{}'))).toBe(epochOf(before));
      await redis.command('SCRIPT', 'FLUSH');
      expect(await (await HistorySession.open(redis)).verdict('a', before)).toBe(n);
    }
  });

  it('follows a failover that kept the connections, and the node is told', async () => {
    const redis = await startRedis();
    const session = await HistorySession.open(redis);
    const before = await session.publish(['a'], '{}');
    await redis.command('REPLICAOF', '127.0.0.1', '1');
    await expect(session.publish(['a'], '{}')).rejects.toThrow('READONLY');
    await expect(session.tick()).rejects.toThrow('READONLY');
    await redis.command('REPLICAOF', 'NO', 'ONE');
    // Publishing does not look, so it still succeeds.
    expect(epochOf(await session.publish(['a'], '{}'))).toBe(epochOf(before));
    const asked = session.recover(['a'], { since: before });
    await expect(asked).rejects.toThrow(MasterChanged);
    await expect(session.tick()).rejects.toThrow(MasterChanged);
    const later = await HistorySession.open(redis);
    expect(await later.verdict('a', before)).toBe('epoch');
    expect(epochOf(await later.tick())).toBe(epochOf(await later.publish(['a'], '{}')));
  });

  it('follows the eviction of keys', async () => {
    const { clock, redis } = await startClocked();
    const session = await HistorySession.open(redis);
    const before = await session.tick();
    await session.publish(['a'], '{}');
    // Of all keys but the state, which never expires.
    await redis.command('CONFIG', 'SET', 'maxmemory-policy', 'volatile-random');
    await redis.command('CONFIG', 'SET', 'maxmemory', '1');
    while ((await redis.command('DBSIZE')) !== 1);
    await redis.command('CONFIG', 'SET', 'maxmemory', '0');
    // The guard has been evicted too, and does not matter any more.
    clock.set(4.5);
    await expect(session.recover(['a'], { since: before })).rejects.toThrow(MasterChanged);
    expect(await (await HistorySession.open(redis)).verdict('a', before)).toBe('epoch');
  });

  it('follows a clock that went forward and back between two scripts', async () => {
    const { clock, redis } = await startClocked();
    const session = await HistorySession.open(redis, { ageMs: 10_000 });
    const before = await session.tick();
    await session.publish(['a'], '{}');
    clock.set(3_600);
    // Redis deletes on its own what has expired.
    while ((await redis.command('DBSIZE')) !== 1);
    clock.set(0);
    const { position, verdicts } = await session.recover(['a'], { since: before });
    expect(verdicts).toEqual(['epoch']);
    // One, not another one with every script.
    for (let n = 0; n < 3; n += 1) expect(await session.verdict('a', position)).toBe(0);
  });
});

describe('a batch', () => {
  it('with a jti is published and kept once', async () => {
    const redis = await startRedis();
    const session = await HistorySession.open(redis);
    await session.listen('a');
    const since = await session.tick();
    const first = await session.publish(['a', 'a'], '{}', { jti: 'x' });
    expect(await session.publish(['a', 'a'], '{}', { jti: 'x' })).toBe('duplicate');
    expect(await session.verdict('a', since)).toBe(2);
    await session.tick();
    expect(session.received.filter((text) => text.startsWith('head'))).toHaveLength(2);
    const left = Number(await redis.command('PTTL', 'p:jti:x'));
    expect(left).toBeGreaterThan(60_000);
    expect(left).toBeLessThanOrEqual(120_000);
    const second = await session.publish(['a'], '{}', { jti: 'y' });
    expect(numberOf(second)).toBeGreaterThan(numberOf(first));
  });

  it('is refused whole when there is no memory, and so is everything else that writes', async () => {
    const redis = await startRedis();
    const session = await HistorySession.open(redis);
    await session.listen('a', 'b');
    await session.publish(['a'], '{}');
    const since = await session.tick();
    const { length } = session.received;
    await redis.command('CONFIG', 'SET', 'maxmemory', '1');
    for (const jti of [undefined, 'x']) {
      const batch = session.publish(['a', '(a)', 'b'], '{}', jti === undefined ? {} : { jti });
      await expect(batch).rejects.toThrow('OOM');
    }
    await expect(session.publish(['(a)'], '{}')).rejects.toThrow('OOM');
    await expect(session.tick()).rejects.toThrow('OOM');
    await expect(session.recover(['a'], { since })).rejects.toThrow('OOM');
    // A node that connects now is there, and only refuses broadcasts.
    await session.history.open();
    await redis.command('CONFIG', 'SET', 'maxmemory', '0');

    expect(session.received).toHaveLength(length);
    expect(await redis.command('EXISTS', 'p:jti:x')).toBe(0);
    expect(await session.verdict('a', since)).toBe(0);
    expect(await session.publish(['b'], '{}', { jti: 'x' })).not.toBe('duplicate');
    expect(await session.verdict('b', since)).toBe(1);
  });
});
