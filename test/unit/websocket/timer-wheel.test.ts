import { describe, expect, it, vi } from 'vitest';
import { TimerWheel } from '../../../src/websocket/timer-wheel.ts';

const YEAR_MS = 365 * 24 * 3_600_000;

describe('TimerWheel', () => {
  function createWheel() {
    const clock = { time: 0, now: () => clock.time };
    const due: string[] = [];
    const wheel = new TimerWheel<string>(100, clock, (item) => due.push(item));
    return { clock, due, wheel };
  }

  it('calls what is due in its order, however far the clock leaps, and looks only at what is there', () => {
    const { clock, due, wheel } = createWheel();
    wheel.set('late', 60_000);
    wheel.set('early', 500);
    wheel.set('next century', 100 * YEAR_MS);
    const lookups = vi.spyOn(Map.prototype, 'get');

    clock.time = 55 * YEAR_MS;
    wheel.tick();

    expect(lookups.mock.calls.length).toBeLessThan(10);
    vi.restoreAllMocks();
    expect(due).toEqual(['early', 'late']);
    clock.time += 46 * YEAR_MS;
    wheel.tick();
    expect(due).toEqual(['early', 'late', 'next century']);
  });

  it('goes on when the clock has leapt back', () => {
    const { clock, due, wheel } = createWheel();
    clock.time = YEAR_MS;
    wheel.tick();
    clock.time = 0;
    wheel.tick();
    wheel.set('soon', 500);
    clock.time = 600;
    wheel.tick();
    expect(due).toEqual(['soon']);
  });

  it('forgets what is cleared', () => {
    const { clock, due, wheel } = createWheel();
    const slot = wheel.set('a', 500);
    wheel.set('b', 500);
    wheel.clear('a', slot);
    wheel.clear('a', slot);
    clock.time = 600;
    wheel.tick();
    wheel.clear('b', slot);
    expect(due).toEqual(['b']);
  });
});
