import { setImmediate } from 'node:timers/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Clock } from '../../../src/websocket/clock.ts';
import { Heartbeat } from '../../../src/websocket/heartbeat.ts';

afterEach(() => {
  vi.useRealTimers();
});

describe('Clock', () => {
  function createProcess() {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
    const now = performance.now.bind(performance);
    let stood = 0;
    vi.spyOn(performance, 'now').mockImplementation(() => now() + stood);
    return {
      runFor: (ms: number) => vi.advanceTimersByTime(ms),
      standStillFor(ms: number) {
        stood += ms;
      },
    };
  }

  it('advances by at most a second when the process was suspended', () => {
    const { runFor, standStillFor } = createProcess();
    const clock = new Clock(100);
    const stop = clock.start(() => {});
    runFor(5_000);
    expect(clock.now()).toBe(5_000);
    standStillFor(600_000);
    expect(clock.now()).toBe(6_000);
    runFor(100);
    expect(clock.now()).toBe(6_000);
    runFor(100);
    expect(clock.now()).toBe(6_100);
    stop();
  });

  it('delays a late tick until pending input has been read, without reordering ticks', async () => {
    const { runFor, standStillFor } = createProcess();
    let ticks = 0;
    const stop = new Clock(100).start(() => {
      ticks += 1;
    });
    runFor(200);
    expect(ticks).toBe(2);

    standStillFor(150);
    runFor(100);
    runFor(100);
    expect(ticks).toBe(2);
    // Comes after the input of this turn.
    await setImmediate();
    expect(ticks).toBe(3);
    runFor(100);
    expect(ticks).toBe(4);
    stop();
  });

  it('keeps the heartbeats of connections apart when the process was suspended', async () => {
    const { runFor, standStillFor } = createProcess();
    const clock = new Clock(100);
    const heartbeat = new Heartbeat(15_000, 100, clock);
    const stop = clock.start(() => heartbeat.tick());
    let pings = 0;
    for (let n = 0; n < 15; n += 1) {
      const ping = () => {
        pings += 1;
      };
      heartbeat.add({
        awaitingPong: false,
        heartbeatSlot: 0,
        isPaused: false,
        ping,
        end: () => {},
      });
      runFor(1_000);
    }

    pings = 0;
    standStillFor(600_000);
    for (let second = 0; second < 14; second += 1) {
      runFor(100);
      await setImmediate();
      runFor(900);
      // What fell due in the second that counts, and in the one that has passed since.
      expect(pings).toBeLessThanOrEqual(second + 2);
    }
    expect(pings).toBeGreaterThan(12);
    stop();
  });
});
