import { describe, expect, it, vi } from 'vitest';
import { DrainProgress } from '../../../src/start/drain-progress.ts';

/** What is printed when these counts are told, each a second after the one before. */
function printed(drainMs: number, counts: readonly number[], intervalMs = 1_000): string[] {
  vi.useFakeTimers({ toFake: ['performance'] });
  try {
    const lines: string[] = [];
    const progress = new DrainProgress(drainMs, (line) => lines.push(line));
    for (const count of counts) {
      progress.report(count);
      vi.advanceTimersByTime(intervalMs);
    }
    return lines;
  } finally {
    vi.useRealTimers();
  }
}

describe('the progress of a drain', () => {
  it('says how many are closed, what a second Ctrl-C does, and then how many are left', () => {
    expect(printed(10_000, [100, 90, 1, 0])).toEqual([
      'Closing 100 websockets within 10 s. Ctrl-C again ends it at once.',
      '90 websockets left',
      '1 websocket left',
    ]);
  });

  it('says nothing when there is nothing to wait for', () => {
    expect(printed(10_000, [0, 0])).toEqual([]);
  });

  it('names no time when all are closed at once', () => {
    expect(printed(0, [1])).toEqual(['Closing 1 websocket. Ctrl-C again ends it at once.']);
  });

  it('does not repeat itself, and says at most one thing a second, however often it is told', () => {
    expect(printed(10_000, [2, 2, 2])).toHaveLength(1);
    const everyQuarter = Array.from({ length: 9 }, (_, n) => 100 - n);
    expect(printed(10_000, everyQuarter, 250)).toEqual([
      'Closing 100 websockets within 10 s. Ctrl-C again ends it at once.',
      '96 websockets left',
      '92 websockets left',
    ]);
  });
});
