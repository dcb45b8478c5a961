import type { Bus, BusListener } from './bus.ts';

/** What a worker tells the primary. */
export type ToPrimary =
  /** The worker starts over, without any topic. */
  | { readonly kind: 'reset' }
  | { readonly kind: 'subscribe'; readonly id: number; readonly topics: readonly string[] }
  | { readonly kind: 'unsubscribe'; readonly topics: readonly string[] }
  | {
      readonly kind: 'publish';
      readonly id: number;
      readonly topic: string;
      readonly text: string;
    };

/** What the primary tells a worker. */
export type ToWorker =
  | { readonly kind: 'done'; readonly id: number; readonly reached: number }
  | { readonly kind: 'message'; readonly topic: string; readonly text: string };

/** What a message costs beside its texts while it waits to be read. */
const MESSAGE_BYTES = 64;

/** About how many bytes these take on their way. */
export function bytesOf(messages: readonly (ToPrimary | ToWorker)[]): number {
  let bytes = 0;
  for (const message of messages) {
    bytes += MESSAGE_BYTES;
    if ('text' in message) bytes += message.topic.length + message.text.length;
    else if ('topics' in message) for (const topic of message.topics) bytes += topic.length;
  }
  return bytes;
}

/** The primary's part: hands each text to the workers that subscribed to its topic. `W` is a worker. */
export class TopicRouter<W> {
  readonly #workersByTopic = new Map<string, Set<W>>();
  readonly #topicsByWorker = new Map<W, Set<string>>();
  readonly #send: (worker: W, message: ToWorker) => void;

  /** `send` must keep the order of what it is given for one worker, and not throw. */
  constructor(send: (worker: W, message: ToWorker) => void) {
    this.#send = send;
  }

  receive(worker: W, message: ToPrimary): void {
    switch (message.kind) {
      case 'reset':
        this.forget(worker);
        return;
      case 'subscribe':
        for (const topic of message.topics) {
          add(this.#workersByTopic, topic, worker);
          add(this.#topicsByWorker, worker, topic);
        }
        this.#send(worker, { kind: 'done', id: message.id, reached: 0 });
        return;
      case 'unsubscribe':
        for (const topic of message.topics) {
          remove(this.#workersByTopic, topic, worker);
          remove(this.#topicsByWorker, worker, topic);
        }
        return;
      case 'publish': {
        const { id, topic, text } = message;
        const workers = this.#workersByTopic.get(topic);
        for (const each of workers ?? []) this.#send(each, { kind: 'message', topic, text });
        this.#send(worker, { kind: 'done', id, reached: workers?.size ?? 0 });
        return;
      }
    }
  }

  /** Forgets a worker that has died or starts over. */
  forget(worker: W): void {
    for (const topic of this.#topicsByWorker.get(worker) ?? []) {
      remove(this.#workersByTopic, topic, worker);
    }
    this.#topicsByWorker.delete(worker);
  }
}

interface Request {
  readonly resolve: (reached: number) => void;
  readonly reject: (error: Error) => void;
}

/** A worker's part: a bus that is the primary. It is lost while the primary does not read. */
export class ClusterBus implements Bus {
  readonly #send: (message: ToPrimary) => void;
  readonly #waiting = new Map<number, Request>();
  #listener: BusListener | undefined;
  #isLost = false;
  #lastId = 0;

  /** `send` must keep the order of what it is given, and not throw. */
  constructor(send: (message: ToPrimary) => void) {
    this.#send = send;
  }

  open(listener: BusListener): void {
    this.#listener = listener;
    listener.up();
  }

  /** To be called when the primary has left too much unread: sends nothing from now on. */
  lose(): void {
    if (this.#isLost) return;
    this.#isLost = true;
    for (const { reject } of this.#waiting.values()) reject(new Error('the first process hangs'));
    this.#waiting.clear();
    this.#listener?.down();
  }

  /** To be called when the primary has read everything. */
  regain(): void {
    if (!this.#isLost) return;
    this.#isLost = false;
    this.#send({ kind: 'reset' });
    this.#listener?.up();
  }

  receive(message: ToWorker): void {
    if (message.kind === 'message') {
      this.#listener?.message(message.topic, message.text);
      return;
    }
    this.#waiting.get(message.id)?.resolve(message.reached);
    this.#waiting.delete(message.id);
  }

  publish(topic: string, text: string): Promise<number> {
    return this.#request((id) => ({ kind: 'publish', id, topic, text }));
  }

  async subscribe(topics: readonly string[]): Promise<void> {
    await this.#request((id) => ({ kind: 'subscribe', id, topics }));
  }

  unsubscribe(topics: readonly string[]): void {
    if (!this.#isLost) this.#send({ kind: 'unsubscribe', topics });
  }

  reset(): void {
    this.#listener?.down();
    this.#listener?.up();
  }

  async close(): Promise<void> {}

  #request(message: (id: number) => ToPrimary): Promise<number> {
    if (this.#isLost) return Promise.reject(new Error('the first process hangs'));
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#send(message(id));
    });
  }
}

function add<K, V>(sets: Map<K, Set<V>>, key: K, value: V): void {
  const set = sets.get(key);
  if (set === undefined) sets.set(key, new Set([value]));
  else set.add(value);
}

function remove<K, V>(sets: Map<K, Set<V>>, key: K, value: V): void {
  const set = sets.get(key);
  set?.delete(value);
  if (set?.size === 0) sets.delete(key);
}
