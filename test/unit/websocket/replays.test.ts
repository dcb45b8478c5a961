import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, it, vi } from 'vitest';
import { Replays } from '../../../src/websocket/replays.ts';

/** No turn of the event loop is over, however long it takes. */
function stopTime(): void {
  vi.spyOn(performance, 'now').mockReturnValue(0);
}

it('starts those who wait in their order, while there is room', () => {
  stopTime();
  const replays = new Replays(10);
  const started: string[] = [];
  for (const name of ['a', 'b', 'c', 'd']) replays.reserve({}, 4, () => started.push(name));
  const cancelled = {};
  replays.reserve(cancelled, 1, () => started.push('cancelled'));
  replays.cancel(cancelled);
  expect(started).toEqual(['a', 'b']);
  replays.release(4);
  expect(started).toEqual(['a', 'b', 'c']);
  expect(replays.waitingBytes).toBe(8);
  replays.release(8);
  expect([started, replays.waitingBytes]).toEqual([['a', 'b', 'c', 'd'], 4]);
});

it('has room for one that is larger than all', () => {
  stopTime();
  const replays = new Replays(10);
  const started: string[] = [];
  replays.reserve({}, 1, () => started.push('small'));
  replays.reserve({}, 11, () => started.push('large'));
  replays.reserve({}, 1, () => started.push('behind it'));
  expect(started).toEqual(['small']);
  replays.release(1);
  expect(started).toEqual(['small', 'large']);
  replays.release(11);
  expect(started).toEqual(['small', 'large', 'behind it']);
});

it('starts any number that are done in the step in which they start', async () => {
  const replays = new Replays(10);
  replays.reserve({}, 10, () => {});
  const clients = 100_000;
  let started = 0;
  let most = 0;
  for (let n = 0; n < clients; n += 1) {
    replays.reserve({}, 10, () => {
      started += 1;
      most = Math.max(most, replays.waitingBytes);
      replays.release(10);
    });
  }
  replays.release(10);
  while (started < clients) await nextTurn();
  expect([most, replays.waitingBytes]).toEqual([10, 0]);
});

it('leaves turns of the event loop to others while many come back', async () => {
  const replays = new Replays();
  const clients = Array.from({ length: 20 }, (_, client) => client);
  const started: number[] = [];
  for (const client of clients) {
    replays.reserve({}, 1, () => {
      started.push(client);
      replays.release(1);
      const end = performance.now() + 5;
      while (performance.now() < end);
    });
  }
  const most = started.length;
  expect(most).toBeLessThan(clients.length);
  for (let before = most; started.length < clients.length; before = started.length) {
    await nextTurn();
    expect(started.length - before).toBeLessThan(clients.length / 2);
  }
  expect(started).toEqual(clients);
});

it('has those dropped who have kept others waiting for ten seconds, and nobody else', () => {
  const replays = new Replays(10);
  const stalled: string[] = [];
  const tick = (times: number) => {
    for (let n = 0; n < times; n += 1) replays.tick();
  };
  replays.add(4, () => stalled.push('old'));
  tick(200);
  const written = replays.add(4, () => stalled.push('written'));
  const waiting = {};
  replays.reserve(waiting, 4, () => {});
  tick(50);
  replays.add(4, () => stalled.push('young'));
  written();
  tick(49);
  expect(stalled).toEqual([]);
  tick(50);
  expect(stalled).toEqual(['old']);
  replays.cancel(waiting);
  tick(200);
  expect([stalled, replays.waitingBytes]).toEqual([['old'], 8]);
});

it('has nobody dropped while others wait for their turn only', () => {
  const clock = vi.spyOn(performance, 'now').mockReturnValue(0);
  const replays = new Replays(10);
  const onStalled = vi.fn();
  replays.add(4, onStalled);
  replays.reserve({}, 1, () => clock.mockReturnValue(1_000));
  const start = vi.fn();
  replays.reserve({}, 1, start);
  for (let n = 0; n < 200; n += 1) replays.tick();
  expect([start, onStalled].map((mock) => mock.mock.calls.length)).toEqual([0, 0]);
});
