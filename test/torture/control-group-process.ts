// The control group: well-behaved subscribers and a publisher that use the server while it is attacked.
import { setTimeout as delay } from 'node:timers/promises';
import { serveProcedures } from '../support/child-rpc.ts';
import { ControlDeliveries, type ControlReport } from './control-deliveries.ts';
import { ControlSubscriber } from './control-subscriber.ts';
import { deliveriesIn, Publisher } from './publisher.ts';
import { LARGE_CHANNEL } from './slow-readers.ts';

/** Messages that are posted one after another, without waiting for the subscribers. */
const BURST_SIZE = 5;
const BURST_INTERVAL_MS = 15;

const deliveries = new ControlDeliveries();
let publisher: Publisher;
let subscribers: ControlSubscriber[] = [];
let isPublishing = false;
let publishing = Promise.resolve();
let sequence = 0;

/** Posts one message and resolves when it is answered. `hasOthers` if others than the group subscribe to the channel. */
async function publish(channel: string, padding: string, hasOthers = false): Promise<void> {
  const expected = subscribers.filter(({ channels }) => channels.includes(channel)).length;
  sequence += 1;
  const text = JSON.stringify({ sequence, channel, padding });
  deliveries.addPublished(sequence, text, expected);
  try {
    const reply = await publisher.publish(channel, text);
    const delivered = deliveriesIn(reply);
    const isExpected = hasOthers ? delivered >= expected : delivered === expected;
    if (reply.status !== 200 || !isExpected) {
      deliveries.addFault(`control publisher: ${reply.status} ${reply.body}, not ${expected}`);
    }
  } catch (error) {
    deliveries.addFault(`control publisher: ${(error as Error).message}`);
  }
}

async function publishBursts(): Promise<void> {
  while (isPublishing) {
    for (let index = 0; index < BURST_SIZE; index += 1) {
      const one = (sequence * 7) % subscribers.length;
      const channel = ['everyone', `half ${one % 2}`, 'everyone', `only ${one}`][sequence % 4];
      await publish(channel ?? 'everyone', 'x'.repeat((sequence * 37) % 2_000));
    }
    await deliveries.untilComplete();
    await delay(BURST_INTERVAL_MS);
  }
}

function startPublishing(): void {
  isPublishing = true;
  publishing = publishBursts();
}

async function stopPublishing(): Promise<void> {
  isPublishing = false;
  await publishing;
}

const procedures = {
  /** Subscribes the group and starts publishing; resolves to the number of its subscriptions. */
  async open({ port, count }: { port: number; count: number }): Promise<number> {
    publisher = new Publisher(port);
    subscribers = Array.from({ length: count }, (_, index) => {
      const channels = ['everyone', `half ${index % 2}`, `only ${index}`, LARGE_CHANNEL];
      return new ControlSubscriber(port, channels, deliveries);
    });
    await Promise.all(subscribers.map((subscriber) => subscriber.subscribe()));
    startPublishing();
    return subscribers.reduce((sum, { channels }) => sum + channels.length, 0);
  },

  /** What happened since the last report. */
  report(): ControlReport {
    return deliveries.takeReport();
  },

  /** Publishes large messages, each when all have received the one before; resolves to the milliseconds of each. */
  async publishLarge({ count, bytes }: { count: number; bytes: number }): Promise<number[]> {
    await stopPublishing();
    const durations: number[] = [];
    for (let index = 0; index < count; index += 1) {
      const startedAt = performance.now();
      await publish(LARGE_CHANNEL, 'x'.repeat(bytes), true);
      await deliveries.untilComplete();
      durations.push(performance.now() - startedAt);
    }
    startPublishing();
    return durations;
  },

  async close(): Promise<void> {
    await stopPublishing();
    await Promise.all(subscribers.map((subscriber) => subscriber.close()));
    publisher.close();
  },
};

export type ControlGroupProcedures = typeof procedures;
serveProcedures(procedures);
