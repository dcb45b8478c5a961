import { afterEach, describe, expect, it, vi } from 'vitest';
import { DisconnectLog } from '../../../src/telemetry/disconnect-log.ts';
import { recordingLog } from '../../support/log.ts';

afterEach(() => {
  vi.useRealTimers();
});

describe('DisconnectLog', () => {
  const stranger = { connection: 1, address: '::1', code: 1006, reason: undefined, channels: 0 };

  it('writes at most once a second, and nothing when nobody disconnected', () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const { lines, log } = recordingLog('info');
    const disconnects = new DisconnectLog(log);
    const add = () => disconnects.add(1006, false, stranger);
    disconnects.tick();
    add();
    vi.advanceTimersByTime(999);
    disconnects.tick();
    add();
    expect(lines).toEqual([]);
    vi.advanceTimersByTime(1);
    disconnects.tick();
    vi.advanceTimersByTime(5_000);
    disconnects.tick();
    add();
    disconnects.tick();
    disconnects.flush();
    disconnects.flush();
    expect(lines.map(({ count, codes }) => [count, codes])).toEqual([
      [2, { 1006: 2 }],
      [1, { 1006: 1 }],
    ]);
  });
});
