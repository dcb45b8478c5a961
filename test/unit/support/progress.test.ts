import { describe, expect, it, vi } from 'vitest';
import {
  estimateSecondsLeft,
  formatDuration,
  formatProgress,
  Progress,
  printLine,
  type Step,
} from '../../support/progress.ts';

const step = (title: string, seconds: number): Step => ({ title, kind: title, seconds });

describe('the estimate of what is left', () => {
  const steps = [step('a', 10), step('b', 30), step('a', 10), step('b', 30)];

  it('is what was declared, before anything has been seen', () => {
    expect(estimateSecondsLeft(steps, [], 0)).toBe(80);
    expect(estimateSecondsLeft(steps, [], 4)).toBe(76);
  });

  it('takes the time of a step that was seen before, and corrects the others by it', () => {
    // `a` took twice as long as declared: 60 for each `b`, and 20 for the other `a`.
    expect(estimateSecondsLeft(steps, [20], 0)).toBe(60 + 20 + 60);
    // Both were seen.
    expect(estimateSecondsLeft(steps, [20, 15], 5)).toBe(15 + 15);
  });

  it('never falls below what the later steps take', () => {
    expect(estimateSecondsLeft(steps, [10, 30, 10], 100)).toBe(0);
    expect(estimateSecondsLeft(steps, [10, 30], 100)).toBe(30);
  });
});

it.each([
  [0, '0 s'],
  [59.4, '59 s'],
  [60, '1 min'],
  [12 * 60 + 29, '12 min'],
  [3_900, '1 h 05 min'],
])('%d seconds are shown as %s', (seconds, text) => {
  expect(formatDuration(seconds)).toBe(text);
});

it('a line fits into the terminal: the title is shortened first', () => {
  const state = { title: 'one broadcast to many', number: 3, total: 40, elapsed: 5, left: 130 };
  expect(formatProgress(state, 60)).toBe('[3/40] one broadcast to many · 5 s, about 2 min left');
  expect(formatProgress(state, 40)).toBe('[3/40] one broa… · 5 s, about 2 min left');
  for (const columns of [40, 10, 1]) {
    expect(formatProgress(state, columns).length).toBeLessThanOrEqual(columns);
  }
});

describe('the progress of long work', () => {
  const start = (isTTY: boolean, plainLines = true) => {
    let written = '';
    const write = (text: string) => {
      written += text;
    };
    const steps = [step('first', 10), step('second', 20)];
    // A terminal that does not know its width, as in some containers.
    const stream = { isTTY, columns: 0, write };
    const progress = new Progress(steps, { stream, plainLines });
    return { progress, written: () => written };
  };

  it('is one line of a terminal, drawn again every second and gone at the end', () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
    const { progress, written } = start(true);
    progress.next();
    vi.advanceTimersByTime(1_000);
    progress.next();
    progress.end();
    vi.advanceTimersByTime(5_000);
    vi.useRealTimers();
    expect(written().split('\r\u001b[K')).toEqual([
      '',
      '[1/2] first · 0 s, about 30 s left',
      '[1/2] first · 1 s, about 29 s left',
      // The first one took a tenth of what was declared.
      '[2/2] second · 0 s, about 2 s left',
      '',
    ]);
  });

  it('makes room for a line of the results', () => {
    const log = vi.spyOn(console, 'log').mockReturnValue();
    const { progress, written } = start(true);
    progress.next();
    const drawn = written();
    printLine('ok');
    printLine('ok');
    expect(written()).toBe(`${drawn}\r\u001b[K`);
    expect(log.mock.calls).toEqual([['ok'], ['ok']]);
    progress.end();
    expect(written()).toBe(`${drawn}\r\u001b[K`);
  });

  it('is a line for each step elsewhere, or nothing', () => {
    for (const [plainLines, text] of [
      [true, 'first\nsecond\n'],
      [false, ''],
    ] as const) {
      const { progress, written } = start(false, plainLines);
      progress.next();
      progress.next();
      progress.end();
      expect(written()).toBe(text);
    }
  });
});
