import type { BusBatch } from '../broker/bus.ts';
import { RequestMemory } from '../broker/request-memory.ts';
import type { BatchPart, ToPrimary, ToWorker } from './topic-messages.ts';

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
