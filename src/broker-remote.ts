import { randomUUID } from 'node:crypto';
import { type Broker, BrokerUnavailable, type Published, type Stats } from './broker.ts';
import type { Bus, BusListener } from './bus.ts';
import type { Hub, Subscriber } from './hub.ts';
import type { Broadcast, Channel } from './protocol.ts';

/** How long the nodes have to confirm a broadcast, sending it included. */
const PUBLISH_DEADLINE_MS = 2_000;
/** How long the nodes have to tell their counters, and how old an answer may be that is given again. */
const STATS_DEADLINE_MS = 500;
const STATS_AGE_MS = 1_000;
/** Questions that wait for answers; more than this is a bus that does not keep up. */
const MAX_QUESTIONS = 10_000;
/** Topics renewed with one command, so that a long list does not hold up everything else. */
const RENEW_TOPICS = 1_000;

export interface RemoteBrokerOptions {
  /** Of every topic, so that several installations may share a bus. */
  readonly prefix: string;
  /** Told when broadcasts get through again, and when they no longer do. */
  readonly onChange: (isAvailable: boolean) => void;
}

/** This node's wish for a channel, from its first subscriber to its last. */
interface Interest {
  holders: number;
  /** Undefined once the bus has confirmed it. */
  waiting: Deferred | undefined;
}

interface Deferred {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
}

/** Something that every node that was reached answers with numbers, which are added up. */
interface Question {
  /** Undefined until the bus has said how many nodes it reached. */
  reached: number | undefined;
  answers: number;
  readonly sums: number[];
  readonly settle: () => void;
}

/**
 * Many nodes on one bus. A message travels only to nodes with listeners, its publisher's own included, so there is
 * one order for all; each tells the publisher how many sockets it was handed to.
 */
export class RemoteBroker implements Broker, BusListener {
  readonly #hub: Hub;
  readonly #bus: Bus;
  readonly #onChange: (isAvailable: boolean) => void;
  readonly #node = randomUUID();
  readonly #channelTopics: string;
  readonly #nodeTopics: string;
  readonly #statsTopic: string;
  readonly #interests = new Map<Channel, Interest>();
  readonly #held = new Map<Subscriber, Set<Channel>>();
  readonly #questions = new Map<number, Question>();
  #lastQuestion = 0;
  #isUp = false;
  #isAvailable = false;
  /** Counts losses: what was begun before one means nothing after it. */
  #epoch = 0;
  #stats: { readonly promise: Promise<Stats>; readonly at: number } | undefined;

  constructor(hub: Hub, bus: Bus, { prefix, onChange }: RemoteBrokerOptions) {
    this.#hub = hub;
    this.#bus = bus;
    this.#onChange = onChange;
    this.#channelTopics = `${prefix}channel:`;
    this.#nodeTopics = `${prefix}node:`;
    this.#statsTopic = `${prefix}stats`;
    bus.open(this);
  }

  get isAvailable(): boolean {
    return this.#isAvailable;
  }

  join(subscriber: Subscriber, channels: readonly Channel[]): Promise<void> | undefined {
    let held = this.#held.get(subscriber);
    if (held === undefined) {
      held = new Set();
      this.#held.set(subscriber, held);
    }

    const fresh: Channel[] = [];
    const waiting: Promise<void>[] = [];
    for (const channel of channels) {
      let interest = this.#interests.get(channel);
      if (interest === undefined) {
        interest = { holders: 0, waiting: defer() };
        this.#interests.set(channel, interest);
        fresh.push(channel);
      }
      if (!held.has(channel)) {
        held.add(channel);
        interest.holders += 1;
      }
      if (interest.waiting !== undefined) waiting.push(interest.waiting.promise);
    }
    if (fresh.length > 0 && this.#isUp) void this.#subscribe(fresh);
    return waiting.length === 0 ? undefined : Promise.all(waiting).then(() => {});
  }

  leave(subscriber: Subscriber): void {
    const held = this.#held.get(subscriber);
    if (held === undefined) return;
    this.#held.delete(subscriber);

    const emptied: Channel[] = [];
    for (const channel of held) {
      const interest = this.#interests.get(channel);
      if (interest === undefined) continue;
      interest.holders -= 1;
      if (interest.holders > 0) continue;
      this.#interests.delete(channel);
      emptied.push(channel);
    }
    if (emptied.length > 0 && this.#isUp) this.#bus.unsubscribe(this.#topics(emptied));
  }

  async publish({ channel, message }: Broadcast): Promise<Published> {
    if (!this.#isAvailable) throw new BrokerUnavailable();
    const { reached, answers, sums } = await this.#ask(
      (id) => this.#bus.publish(this.#channelTopics + channel, `${this.#node} ${id} ${message}`),
      PUBLISH_DEADLINE_MS,
    );
    if (reached === undefined) throw new BrokerUnavailable();
    return { deliveries: sums[0] ?? 0, isPartial: answers < reached };
  }

  stats(): Promise<Stats> {
    const now = performance.now();
    if (this.#stats === undefined || now - this.#stats.at >= STATS_AGE_MS) {
      this.#stats = { promise: this.#askStats(), at: now };
    }
    return this.#stats.promise;
  }

  close(): Promise<void> {
    return this.#bus.close();
  }

  up(): void {
    this.#isUp = true;
    void this.#renew();
  }

  down(): void {
    this.#isUp = false;
    this.#epoch += 1;
    for (const interest of this.#interests.values()) interest.waiting ??= defer();
    this.#setAvailable(false);
  }

  message(topic: string, text: string): void {
    if (topic.startsWith(this.#channelTopics)) {
      const [node, id, message] = splitOnce(text);
      const channel = topic.slice(this.#channelTopics.length) as Channel;
      this.#answer(node, id, [this.#hub.publish(channel, message)]);
    } else if (topic === this.#statsTopic) {
      const [node, id] = splitOnce(text);
      this.#answer(node, id, [this.#hub.deliveries, this.#hub.subscriptions]);
    } else {
      const [id = 0, ...numbers] = text.split(' ').map(Number);
      this.#answered(id, numbers);
    }
  }

  /** Tells the node that asked; of itself it needs no bus. */
  #answer(node: string, id: string, numbers: readonly number[]): void {
    if (node === this.#node) {
      this.#answered(Number(id), numbers);
      return;
    }
    // A bus that is lost now takes the answer with it; the one who asked has a deadline.
    this.#bus.publish(this.#nodeTopics + node, `${id} ${numbers.join(' ')}`).catch(() => {});
  }

  #answered(id: number, numbers: readonly number[]): void {
    const question = this.#questions.get(id);
    // An answer that comes after the deadline.
    if (question === undefined) return;
    question.answers += 1;
    numbers.forEach((number, index) => {
      question.sums[index] = (question.sums[index] ?? 0) + number;
    });
    if (question.answers === question.reached) question.settle();
  }

  /** Resolves when every node that was reached has answered, or at the deadline with what is there by then. */
  #ask(send: (id: number) => Promise<number>, deadlineMs: number): Promise<Question> {
    if (this.#questions.size >= MAX_QUESTIONS) throw new BrokerUnavailable();
    this.#lastQuestion += 1;
    const id = this.#lastQuestion;

    return new Promise((resolve) => {
      const settle = () => {
        clearTimeout(timer);
        this.#questions.delete(id);
        resolve(question);
      };
      const timer = setTimeout(settle, deadlineMs);
      const question: Question = { reached: undefined, answers: 0, sums: [], settle };
      this.#questions.set(id, question);
      send(id).then((reached) => {
        question.reached = reached;
        // Answers may be here before the count of those who will give one.
        if (question.answers >= reached) settle();
      }, settle);
    });
  }

  async #askStats(): Promise<Stats> {
    if (!this.#isAvailable) return this.#hub;
    const { answers, sums } = await this.#ask(
      (id) => this.#bus.publish(this.#statsTopic, `${this.#node} ${id}`),
      STATS_DEADLINE_MS,
    );
    const [deliveries = 0, subscriptions = 0] = sums;
    return answers === 0 ? this.#hub : { deliveries, subscriptions };
  }

  #setAvailable(isAvailable: boolean): void {
    if (this.#isAvailable === isAvailable) return;
    this.#isAvailable = isAvailable;
    this.#onChange(isAvailable);
  }

  #topics(channels: readonly Channel[]): string[] {
    return channels.map((channel) => this.#channelTopics + channel);
  }

  /** Resolves to whether the bus confirmed them. What it did not confirm is renewed when it is back. */
  async #subscribe(channels: readonly Channel[]): Promise<boolean> {
    // These and no others: a channel that is left and joined again meanwhile waits for a confirmation of its own.
    const interests = channels.map((channel) => this.#interests.get(channel));
    const epoch = this.#epoch;
    try {
      await this.#bus.subscribe(this.#topics(channels));
    } catch {
      return false;
    }
    if (epoch !== this.#epoch) return false;
    for (const interest of interests) {
      interest?.waiting?.resolve();
      if (interest !== undefined) interest.waiting = undefined;
    }
    return true;
  }

  /** After a loss: everything is subscribed again before anything is promised. */
  async #renew(): Promise<void> {
    const epoch = this.#epoch;
    const channels = [...this.#interests.keys()];
    try {
      await this.#bus.subscribe([this.#nodeTopics + this.#node, this.#statsTopic]);
    } catch {
      return;
    }
    for (let from = 0; from < channels.length; from += RENEW_TOPICS) {
      // Who has left meanwhile is not asked for again.
      const some = channels
        .slice(from, from + RENEW_TOPICS)
        .filter((channel) => this.#interests.has(channel));
      if (!(await this.#subscribe(some))) return;
    }
    if (epoch === this.#epoch) this.#setAvailable(true);
  }
}

function defer(): Deferred {
  let resolve = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

/** `node id rest`: the rest may be anything. */
function splitOnce(text: string): [node: string, id: string, rest: string] {
  const first = text.indexOf(' ');
  const second = text.indexOf(' ', first + 1);
  if (second === -1) return [text.slice(0, first), text.slice(first + 1), ''];
  return [text.slice(0, first), text.slice(first + 1, second), text.slice(second + 1)];
}
