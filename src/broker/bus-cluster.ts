import { type BatchOutcome, type Bus, type BusBatch, type BusListener, batchText } from './bus.ts';
import { RequestMemory } from './request-memory.ts';

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
    }
  | ({ readonly kind: 'publish batch'; readonly id: number } & BusBatch)
  | { readonly kind: 'store answer'; readonly jti: string; readonly text: string }
  | { readonly kind: 'find answer'; readonly id: number; readonly jti: string };

/** What the primary tells a worker. */
export type ToWorker =
  | { readonly kind: 'done'; readonly id: number; readonly reached: number }
  /** The `jti` of the batch was known; nothing was published. */
  | { readonly kind: 'duplicate'; readonly id: number }
  | { readonly kind: 'answer'; readonly id: number; readonly text: string | undefined }
  | { readonly kind: 'message'; readonly topic: string; readonly text: string }
  | BatchPart;

/** The part of a batch that one worker gets. */
interface BatchPart {
  readonly kind: 'batch part';
  readonly head: string;
  readonly topics: string[];
  /** The place in the whole batch, and the text, of each topic. */
  readonly indexes: number[];
  readonly textOf: number[];
  readonly texts: string[];
}

/** What a message costs beside its texts while it waits to be read. */
const MESSAGE_BYTES = 64;

/** About how many bytes these take on their way. */
export function bytesOf(messages: readonly (ToPrimary | ToWorker)[]): number {
  let bytes = 0;
  for (const message of messages) {
    bytes += MESSAGE_BYTES;
    if ('text' in message) bytes += message.text?.length ?? 0;
    if ('topic' in message) bytes += message.topic.length;
    if ('topics' in message) for (const topic of message.topics) bytes += topic.length;
    if ('texts' in message) for (const text of message.texts) bytes += text.length;
  }
  return bytes;
}

/** The primary's part: hands each text to the workers that subscribed to its topic. `W` is a worker. */
export class TopicRouter<W> {
  readonly #workersByTopic = new Map<string, Set<W>>();
  readonly #topicsByWorker = new Map<W, Set<string>>();
  readonly #requests = new RequestMemory();
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
      case 'publish batch':
        this.#publishBatch(worker, message);
        return;
      case 'store answer':
        this.#requests.finish(message.jti, message.text);
        return;
      case 'find answer':
        void this.#findAnswer(worker, message.id, message.jti);
        return;
    }
  }

  #publishBatch(worker: W, { id, ...batch }: BusBatch & { readonly id: number }): void {
    const { jti } = batch;
    if (jti !== undefined) {
      if (this.#requests.has(jti)) {
        this.#send(worker, { kind: 'duplicate', id });
        return;
      }
      this.#requests.begin(jti);
    }
    const parts = new Map<W, BatchPart>();
    let reached = 0;
    for (const [index, topic] of batch.topics.entries()) {
      const workers = this.#workersByTopic.get(topic);
      reached += workers?.size ?? 0;
      for (const each of workers ?? []) {
        let part = parts.get(each);
        if (part === undefined) {
          part = {
            kind: 'batch part',
            head: batch.head,
            topics: [],
            indexes: [],
            textOf: [],
            texts: [],
          };
          parts.set(each, part);
        }
        addToPart(part, batch, index, topic);
      }
    }
    for (const [each, part] of parts) this.#send(each, part);
    this.#send(worker, { kind: 'done', id, reached });
  }

  async #findAnswer(worker: W, id: number, jti: string): Promise<void> {
    const text = await this.#requests.find(jti);
    // One that has died meanwhile is told nothing by `send`.
    this.#send(worker, { kind: 'answer', id, text });
  }

  /** Forgets a worker that has died or starts over. */
  forget(worker: W): void {
    for (const topic of this.#topicsByWorker.get(worker) ?? []) {
      remove(this.#workersByTopic, topic, worker);
    }
    this.#topicsByWorker.delete(worker);
  }
}

function addToPart(part: BatchPart, { texts, textOf }: BusBatch, index: number, topic: string) {
  const text = texts[textOf[index] ?? 0] ?? '';
  // Topics that share a text follow each other.
  if (part.texts.at(-1) !== text) part.texts.push(text);
  part.topics.push(topic);
  part.indexes.push(index);
  part.textOf.push(part.texts.length - 1);
}

/** What the primary answers a request with. */
type Response = Exclude<ToWorker, { readonly kind: 'message' | 'batch part' }>;

interface Request {
  readonly resolve: (response: Response) => void;
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
    switch (message.kind) {
      case 'message':
        this.#listener?.message(message.topic, message.text);
        return;
      case 'batch part':
        this.#receivePart(message);
        return;
      default:
        this.#waiting.get(message.id)?.resolve(message);
        this.#waiting.delete(message.id);
    }
  }

  async publish(topic: string, text: string): Promise<number> {
    return reachedOf(await this.#request((id) => ({ kind: 'publish', id, topic, text })));
  }

  async publishBatch(batch: BusBatch): Promise<BatchOutcome> {
    const response = await this.#request((id) => ({ kind: 'publish batch', id, ...batch }));
    return response.kind === 'duplicate' ? 'duplicate' : reachedOf(response);
  }

  storeAnswer(jti: string, text: string): void {
    if (!this.#isLost) this.#send({ kind: 'store answer', jti, text });
  }

  async findAnswer(jti: string): Promise<string | undefined> {
    try {
      const response = await this.#request((id) => ({ kind: 'find answer', id, jti }));
      return response.kind === 'answer' ? response.text : undefined;
    } catch {
      return undefined;
    }
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

  #receivePart({ head, topics, indexes, textOf, texts }: BatchPart): void {
    for (const [at, topic] of topics.entries()) {
      const text = texts[textOf[at] ?? 0] ?? '';
      this.#listener?.message(topic, batchText(head, indexes[at] ?? 0, text));
    }
  }

  #request(message: (id: number) => ToPrimary): Promise<Response> {
    if (this.#isLost) return Promise.reject(new Error('the first process hangs'));
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#send(message(id));
    });
  }
}

function reachedOf(response: Response): number {
  return response.kind === 'done' ? response.reached : 0;
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
