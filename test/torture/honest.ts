// The reference group: real websocket clients and a publisher that mind their own business while the server is attacked.
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { sign } from '../support/tokens.ts';
import { Publisher } from './publisher.ts';
import { answer } from './rpc.ts';
import { LARGE_CHANNEL } from './slow.ts';

/** Posts of which each waits for the answer to the one before, but not for the subscribers. */
const BURST = 5;
const BETWEEN_BURSTS_MS = 15;
/** A message that has not come by then is lost. */
const LOST_AFTER_MS = 20_000;

export interface HonestReport {
  readonly published: number;
  readonly deliveries: number;
  readonly lost: number;
  readonly doubled: number;
  readonly reordered: number;
  /** From a POST until the last subscriber had its message, for the slowest message. */
  readonly slowestMs: number;
  readonly faults: readonly string[];
}

interface Message {
  readonly sequence: number;
  readonly text: string;
  readonly postedAt: number;
  /** Subscribers that still wait for it. */
  missing: number;
}

let published = 0;
let deliveries = 0;
let lost = 0;
let doubled = 0;
let reordered = 0;
let slowestMs = 0;
let faults = new Set<string>();

/** Published and not yet received by all. */
const underWay = new Map<number, Message>();
let onArrival = () => {};

class Subscriber {
  readonly channels: readonly string[];
  readonly #socket: WebSocket;
  readonly #seen = new Set<number>();
  #last = 0;
  #isLeaving = false;

  constructor(port: number, index: number) {
    this.channels = ['everyone', `half ${index % 2}`, `only ${index}`, LARGE_CHANNEL];
    this.#socket = new WebSocket(`ws://127.0.0.1:${port}/subscribe`);
    this.#socket.on('error', (error) => faults.add(`honest subscriber: ${error.message}`));
    this.#socket.on('close', (code, reason) => {
      if (!this.#isLeaving) faults.add(`honest subscriber closed: ${code} ${reason}`);
      onArrival();
    });
  }

  async join(): Promise<void> {
    await once(this.#socket, 'open');
    this.#socket.send(
      JSON.stringify({ event: 'authenticate', data: sign({ channels: this.channels }) }),
    );
    let confirmations = 0;
    await new Promise<void>((resolve) => {
      const confirm = () => {
        confirmations += 1;
        if (confirmations < this.channels.length) return;
        this.#socket.off('message', confirm);
        this.#socket.on('message', (data) => this.#receive(data.toString()));
        resolve();
      };
      this.#socket.on('message', confirm);
    });
  }

  async leave(): Promise<void> {
    this.#isLeaving = true;
    this.#socket.close(1000);
    if (this.#socket.readyState !== WebSocket.CLOSED) await once(this.#socket, 'close');
  }

  #receive(text: string): void {
    const sequence = Number(/^\{"sequence":(\d+)/.exec(text)?.[1]);
    if (this.#seen.has(sequence)) {
      doubled += 1;
      return;
    }
    this.#seen.add(sequence);
    if (sequence < this.#last) reordered += 1;
    this.#last = Math.max(this.#last, sequence);

    const message = underWay.get(sequence);
    if (message?.text !== text) {
      faults.add(`honest subscriber got what nobody sent: ${text.slice(0, 80)}`);
      return;
    }
    deliveries += 1;
    message.missing -= 1;
    if (message.missing > 0) return;
    slowestMs = Math.max(slowestMs, performance.now() - message.postedAt);
    underWay.delete(sequence);
    onArrival();
  }
}

let publisher: Publisher;
let subscribers: Subscriber[] = [];
let isRunning = false;
let running = Promise.resolve();
let sequence = 0;

/** Posts one message and resolves when it is answered. */
async function publish(channel: string, padding: string, othersListen = false): Promise<void> {
  const expected = subscribers.filter(({ channels }) => channels.includes(channel)).length;
  sequence += 1;
  const text = JSON.stringify({ sequence, channel, padding });
  underWay.set(sequence, { sequence, text, postedAt: performance.now(), missing: expected });
  published += 1;
  try {
    const { status, deliveries: handed, body } = await publisher.publish(channel, text);
    const isRight = othersListen ? handed >= expected : handed === expected;
    if (status !== 200 || !isRight)
      faults.add(`honest publisher: ${status} ${body}, not ${expected}`);
  } catch (error) {
    faults.add(`honest publisher: ${(error as Error).message}`);
  }
}

/** Resolves when every subscriber has everything; counts what has not come in a long time as lost. */
async function allArrived(): Promise<void> {
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    onArrival();
  }, LOST_AFTER_MS);
  while (underWay.size > 0 && !isLate) {
    await new Promise<void>((resolve) => {
      onArrival = resolve;
    });
  }
  clearTimeout(timer);
  for (const { missing } of underWay.values()) lost += missing;
  underWay.clear();
}

async function run(): Promise<void> {
  while (isRunning) {
    for (let index = 0; index < BURST; index += 1) {
      const one = (sequence * 7) % subscribers.length;
      const channel = ['everyone', `half ${one % 2}`, 'everyone', `only ${one}`][sequence % 4];
      await publish(channel ?? 'everyone', 'x'.repeat((sequence * 37) % 2_000));
    }
    await allArrived();
    await delay(BETWEEN_BURSTS_MS);
  }
}

function start(): void {
  isRunning = true;
  running = run();
}

async function stop(): Promise<void> {
  isRunning = false;
  await running;
}

const calls = {
  /** Subscribes the group and begins to publish; resolves to how many subscriptions it has. */
  async open({ port, count }: { port: number; count: number }): Promise<number> {
    publisher = new Publisher(port);
    subscribers = Array.from({ length: count }, (_, index) => new Subscriber(port, index));
    await Promise.all(subscribers.map((subscriber) => subscriber.join()));
    start();
    return subscribers.reduce((sum, { channels }) => sum + channels.length, 0);
  },

  /** What happened since the last report. */
  report(): HonestReport {
    const result = {
      published,
      deliveries,
      lost,
      doubled,
      reordered,
      slowestMs,
      faults: [...faults],
    };
    published = deliveries = lost = doubled = reordered = slowestMs = 0;
    faults = new Set();
    return result;
  },

  /** Publishes large messages, each after all have the one before; resolves to how long each took. */
  async large({ count, bytes }: { count: number; bytes: number }): Promise<number[]> {
    await stop();
    const durations: number[] = [];
    for (let index = 0; index < count; index += 1) {
      const begun = performance.now();
      await publish(LARGE_CHANNEL, 'x'.repeat(bytes), true);
      await allArrived();
      durations.push(performance.now() - begun);
    }
    start();
    return durations;
  },

  async close(): Promise<void> {
    await stop();
    await Promise.all(subscribers.map((subscriber) => subscriber.leave()));
    publisher.close();
  },
};

export type HonestCalls = typeof calls;
answer(calls);
