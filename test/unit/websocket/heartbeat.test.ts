import { afterEach, describe, expect, it, vi } from 'vitest';
import { disconnects } from '../../../src/protocol/close-codes.ts';
import { Heartbeat, type PingedConnection } from '../../../src/websocket/heartbeat.ts';

afterEach(() => {
  vi.useRealTimers();
});

describe('Heartbeat', () => {
  function silent() {
    const log: string[] = [];
    const connection: PingedConnection = {
      awaitingPong: false,
      heartbeatSlot: 0,
      isPaused: false,
      ping: () => log.push('ping'),
      end: ({ reason }) => log.push(reason),
    };
    return { log, connection };
  }

  function start() {
    vi.useFakeTimers({ toFake: ['performance'] });
    const heartbeat = new Heartbeat(15_000, 100, performance);
    const pass = (ms: number) => {
      vi.advanceTimersByTime(ms);
      heartbeat.tick();
    };
    return { heartbeat, pass };
  }

  it('keeps each connection on its own beat', () => {
    const { heartbeat, pass } = start();
    const early = silent();
    const late = silent();
    heartbeat.add(early.connection);
    pass(7_000);
    heartbeat.add(late.connection);

    pass(7_900);
    expect([early.log, late.log]).toEqual([[], []]);
    pass(200);
    expect([early.log, late.log]).toEqual([['ping'], []]);
    pass(6_800);
    expect(late.log).toEqual([]);
    pass(200);
    expect([early.log, late.log]).toEqual([['ping'], ['ping']]);
    pass(15_100);
    const ended = ['ping', disconnects.pingTimeout.reason];
    expect([early.log, late.log]).toEqual([ended, ended]);
  });

  it('gives each connection the full time to answer after a late tick', () => {
    const { heartbeat, pass } = start();
    const { log, connection } = silent();
    heartbeat.add(connection);
    pass(600_000);
    expect(log).toEqual(['ping']);
    pass(14_900);
    expect(log).toEqual(['ping']);
    pass(200);
    expect(log).toEqual(['ping', disconnects.pingTimeout.reason]);
  });

  it('forgets what is removed', () => {
    const { heartbeat, pass } = start();
    const { log, connection } = silent();
    heartbeat.add(connection);
    heartbeat.remove(connection);
    heartbeat.remove(connection);
    pass(60_000);
    expect(log).toEqual([]);
  });
});
