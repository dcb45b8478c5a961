import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { GapReason } from '../../../src/broker/history.ts';
import { MemoryHistory } from '../../../src/broker/history-memory.ts';
import type { Channel } from '../../../src/protocol/channel.ts';
import { parsePosition } from '../../../src/protocol/position.ts';

const MAX_BYTES = 4_096;
const MAX_MESSAGES = 3;
const SECOND = 1_000_000;

function start() {
  let time = 1_792_600_000_000_000;
  const history = new MemoryHistory(
    { historyMessages: MAX_MESSAGES, historyMs: 10_000, historyBytes: MAX_BYTES },
    () => time,
  );
  const recover = (since: string | null, ...channels: string[]) =>
    history.recover({
      channels: channels as Channel[],
      since,
      maxMessages: 1_000,
      maxBytes: MAX_BYTES,
    });
  const add = (channel: string, message = '{}', isKept = true) =>
    history.add({ channel: channel as Channel, message, isKept });
  return {
    history,
    recover,
    add,
    pass: (us: number) => {
      time += us;
    },
  };
}

/** Bytes of objects that are still needed. */
function usedHeap(): number {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
  return process.memoryUsage().heapUsed;
}

describe('MemoryHistory', () => {
  it('leaves nothing behind of a channel when its last message is too old', () => {
    const { history, add, pass } = start();
    for (let n = 0; n < 5; n += 1) add(`channel ${n}`);
    expect(history.entries).toBe(5);
    pass(10 * SECOND + 5);
    history.expire();
    expect([history.entries, history.bytes]).toEqual([0, 0]);
    expect(history.channels).toBe(0);
  });

  it('counts bytes of UTF-8 of message and channel and 256 more, and drops the oldest above the limit', () => {
    const { history, add } = start();
    add('ü', '"ü"');
    expect(history.bytes).toBe(256 + 2 + 4);
    for (let n = 0; n < 100; n += 1) add(`channel ${n}`, 'x'.repeat(100));
    expect(history.bytes).toBeLessThanOrEqual(MAX_BYTES);
    expect(history.bytes).toBeGreaterThan(MAX_BYTES - 500);
  });

  it('keeps of a message in a long text no more than the message', () => {
    const history = new MemoryHistory({
      historyMessages: 1,
      historyMs: 1e6,
      historyBytes: 2 ** 26,
    });
    const before = usedHeap();
    for (let n = 0; n < 50; n += 1) {
      const text = `${n} ${'x'.repeat(1_000_000)}`;
      // Slices of this length point into the text.
      const [channel, message] = [text.slice(0, 100) as Channel, text.slice(100, 200)];
      history.add({ channel, message });
    }
    expect(history.entries).toBe(50);
    expect(usedHeap() - before).toBeLessThan(10_000_000);
  });

  /**
   * The oracle keeps everything and knows what was missed. A verdict must be right whenever it says that nothing is lost,
   * and may say that something is only where a limit was reached.
   */
  it('recovers all that was missed or says that it cannot, and never needlessly', () => {
    const channel = fc.constantFrom('a', 'b', 'c');
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ do: fc.constant('add' as const), channel }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('large' as const), channel }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('unkept' as const), channel }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant('position' as const) }) },
      {
        weight: 2,
        arbitrary: fc.record({ do: fc.constant('pass' as const), us: fc.nat(6 * SECOND) }),
      },
      { weight: 3, arbitrary: fc.record({ do: fc.constant('recover' as const), at: fc.nat() }) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { recover, add, history, pass } = start();
        const all: { channel: string; message: string; number: number; large: boolean }[] = [];
        const positions = [history.position()];
        for (const [n, each] of steps.entries()) {
          switch (each.do) {
            case 'add':
            case 'large':
            case 'unkept': {
              const large = each.do === 'large';
              const message = large ? `${n}`.padEnd(MAX_BYTES / 4, ' ') : `${n}`.padEnd(300, ' ');
              const position = add(each.channel, message, each.do !== 'unkept');
              const { number = 0 } = parsePosition(position) ?? {};
              expect(number).toBeGreaterThan(numberOf(positions.at(-1)));
              positions.push(position);
              if (each.do !== 'unkept') {
                all.push({ channel: each.channel, message, number, large });
              }
              break;
            }
            case 'position':
              positions.push(history.position());
              break;
            case 'pass':
              pass(each.us);
              break;
            case 'recover': {
              const since = positions[each.at % positions.length] ?? '';
              const { verdicts, publications, position } = recover(since, 'a', 'b', 'c');
              const now = numberOf(position);
              const expected = all.filter(({ channel: name, number }) => {
                const verdict = verdicts[['a', 'b', 'c'].indexOf(name)];
                return number > numberOf(since) && typeof verdict === 'number';
              });
              expect(publications.map(({ message }) => message)).toEqual(
                expected.map(({ message }) => message),
              );
              for (const [index, verdict] of verdicts.entries()) {
                const name = ['a', 'b', 'c'][index];
                const missed = all.filter(
                  (entry) => entry.channel === name && entry.number > numberOf(since),
                );
                if (typeof verdict === 'number') {
                  expect(verdict).toBe(missed.length);
                } else {
                  const reasons: Partial<Record<GapReason, boolean>> = {
                    messages: missed.length > MAX_MESSAGES || missed.some(({ large }) => large),
                    age: all.some(({ number }) => number > numberOf(since)),
                    limit: false,
                  };
                  expect([verdict, reasons[verdict]]).toEqual([verdict, true]);
                  // Bytes: all that is newer than the position would not have fitted.
                  const size = all
                    .filter(({ number }) => number > numberOf(since))
                    .reduce(
                      (sum, entry) => sum + (entry.large ? 0 : entry.message.length) + 257,
                      0,
                    );
                  const old = all.some(
                    ({ number }) => number > numberOf(since) && number < now - 10 * SECOND,
                  );
                  if (verdict === 'age') expect(old || size > MAX_BYTES).toBe(true);
                }
              }
              positions.push(position ?? '');
              break;
            }
          }
        }
        expect(history.bytes).toBeLessThanOrEqual(MAX_BYTES);
      }),
      { numRuns: 500 },
    );
  });
});

function numberOf(position: string | undefined): number {
  return parsePosition(position ?? '')?.number ?? Number.NaN;
}
