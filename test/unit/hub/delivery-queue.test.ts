import { setImmediate } from 'node:timers/promises';
import { afterEach, expect, it, vi } from 'vitest';
import { DeliveryQueue } from '../../../src/hub/delivery-queue.ts';
import type { Frame } from '../../../src/hub/frame.ts';
import { Hub } from '../../../src/hub/hub.ts';
import type { Channel } from '../../../src/protocol/channel.ts';

const channel = 'a' as Channel;

function createQueue(isWriting?: () => boolean) {
  const hub = new Hub();
  const queue = new DeliveryQueue(hub, isWriting);
  const frames: Frame[] = [];
  const subscriber = { deliver: (frame: Frame) => frames.push(frame) > 0 };
  hub.subscribe(subscriber, channel);
  frames.length = 0;
  return { queue, frames };
}

const publications = (count: number, message = '{}') =>
  Array.from({ length: count }, () => ({ channel, message }));

/** Time that leaps with every look at it, so that each step fills its turn. */
function leapingClock() {
  let time = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => {
    time += 20;
    return time;
  });
}

/** Time that stands still, so that a busy machine does not end a turn. */
function stoppedClock() {
  vi.spyOn(performance, 'now').mockReturnValue(0);
}

afterEach(() => {
  vi.restoreAllMocks();
});

it('hands out at once what fits into a turn, with one frame for a message', () => {
  const { queue, frames } = createQueue();
  stoppedClock();
  const done = vi.fn();
  queue.publish([...publications(3), { channel: 'b' as Channel, message: '{}' }], done);
  expect(done.mock.calls).toEqual([[[1, 1, 1, 0]]]);
  expect(new Set(frames).size).toBe(1);
  expect(queue.isEmpty).toBe(true);
});

it('goes on in the next turn when the time is up, once for all batches of the turn', async () => {
  const { queue, frames } = createQueue();
  leapingClock();
  for (let n = 0; n < 2; n += 1) queue.publish(publications(2), () => {});
  for (let turn = 1; turn <= 4; turn += 1) {
    expect(frames).toHaveLength(turn);
    await setImmediate();
  }
  expect(frames).toHaveLength(4);
  expect(queue.isEmpty).toBe(true);
});

it('keeps one order of publications and subscriptions, and leaves out who was dropped', async () => {
  const { queue } = createQueue();
  leapingClock();
  const order: string[] = [];
  const [stays, goes] = [{ deliver: () => true }, { deliver: () => true }];
  queue.publish(publications(5), () => order.push('batch'));
  queue.subscribe(stays, () => order.push('first'));
  queue.subscribe(goes, () => order.push('dropped'));
  queue.publish(publications(1), () => order.push('single'));
  queue.subscribe(stays, () => order.push('second'));
  queue.drop(goes);
  queue.drop(goes);
  expect(order).toEqual([]);
  while (!queue.isEmpty) await setImmediate();
  expect(order).toEqual(['batch', 'first', 'single', 'second']);
});

it('waits with much text until the sockets have been written', async () => {
  let isWriting = true;
  const { queue, frames } = createQueue(() => isWriting);
  stoppedClock();
  queue.publish(publications(10, 'x'.repeat(1_024 * 1_024)), () => {});
  for (let turn = 0; turn < 5; turn += 1) {
    expect(frames).toHaveLength(4);
    await setImmediate();
  }
  isWriting = false;
  while (!queue.isEmpty) await setImmediate();
  expect(frames).toHaveLength(10);
});

it('is full with more than 64 MiB that wait, and hands out at once when it has to', () => {
  const { queue, frames } = createQueue();
  leapingClock();
  queue.publish(publications(3), () => {});
  for (let n = 0; n < 64; n += 1) {
    expect(queue.isFull).toBe(false);
    queue.publish(publications(1, `${n}`.padEnd(1_024 * 1_024)), () => {});
  }
  expect(queue.isFull).toBe(true);
  queue.relieve();
  expect(queue.isFull).toBe(false);
  expect(frames.length).toBeLessThan(10);
});
