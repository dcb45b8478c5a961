import { afterEach, describe, expect, it, vi } from 'vitest';
import { rateLimited } from '../../../src/telemetry/log.ts';

afterEach(() => {
  vi.useRealTimers();
});

describe('rateLimited', () => {
  it('runs at once and then at most once in the interval', () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const run = vi.fn();
    const limited = rateLimited(1_000, run);
    limited('a');
    limited('b');
    vi.advanceTimersByTime(999);
    limited('c');
    vi.advanceTimersByTime(1);
    limited('d');
    expect(run.mock.calls).toEqual([['a'], ['d']]);
  });
});
