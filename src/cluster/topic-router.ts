import { type BusRecoveryRequest, batchText } from '../broker/bus.ts';
import type { MemoryHistory } from '../broker/history-memory.ts';
import { RequestMemory } from '../broker/request-memory.ts';
import type { Channel } from '../protocol/channel.ts';
import type { BatchPart, SentBatch, ToPrimary, ToWorker } from './topic-messages.ts';

/** What the primary keeps of the broadcasts, for all workers. */
export interface RouterHistory {
  readonly history: MemoryHistory;
  /** What the topics of channels begin with. */
  readonly channelTopics: string;
}

/** The primary's part: hands each text to the workers that subscribed to its topic. `W` is a worker. */
export class TopicRouter<W> {
  readonly #workersByTopic = new Map<string, Set<W>>();
  readonly #topicsByWorker = new Map<W, Set<string>>();
  readonly #requests = new RequestMemory();
  readonly #send: (worker: W, message: ToWorker) => void;
  readonly #kept: RouterHistory | undefined;

  /**
   * `send` must keep the order of what it is given for one worker, and not throw. `kept` is undefined when nothing is
   * kept.
   */
  constructor(send: (worker: W, message: ToWorker) => void, kept?: RouterHistory | undefined) {
    this.#send = send;
    this.#kept = kept;
  }

  /**
   * Tells all workers the position of now, so that those whose channels are quiet do not fall behind what is kept. To be
   * called from time to time.
   */
  tick(): void {
    this.#kept?.history.expire();
    for (const worker of this.#topicsByWorker.keys()) this.#sendPosition(worker);
  }

  receive(worker: W, message: ToPrimary): void {
    switch (message.kind) {
      case 'reset':
        this.forget(worker);
        return;
      case 'subscribe':
        this.#subscribe(worker, message.id, message.topics);
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
      case 'recover':
        this.#recover(worker, message.id, message);
        return;
      case 'store answer':
        this.#requests.finish(message.jti, message.text);
        return;
      case 'find answer':
        void this.#findAnswer(worker, message.id, message.jti);
        return;
    }
  }

  #subscribe(worker: W, id: number, topics: readonly string[]): void {
    const isNew = !this.#topicsByWorker.has(worker);
    for (const topic of topics) {
      add(this.#workersByTopic, topic, worker);
      add(this.#topicsByWorker, worker, topic);
    }
    this.#send(worker, { kind: 'done', id, reached: 0 });
    // A worker that has just started would know no position until the next tick.
    if (isNew) this.#sendPosition(worker);
  }

  #publishBatch(worker: W, { id, ...batch }: SentBatch & { readonly id: number }): void {
    const { jti } = batch;
    if (jti !== undefined) {
      if (this.#requests.has(jti)) {
        this.#send(worker, { kind: 'duplicate', id });
        return;
      }
      this.#requests.begin(jti);
    }
    if (this.#kept === undefined) {
      this.#send(worker, { kind: 'done', id, reached: this.#sendParts(batch, undefined) });
      return;
    }
    const positions = this.#keep(batch, this.#kept);
    const shown = positions.map((position, index) => (batch.kept?.[index] ? position : undefined));
    const isSingle = positions.length === 1;
    const reached = isSingle ? this.#sendSingle(batch, shown[0]) : this.#sendParts(batch, shown);
    this.#send(worker, { kind: 'done', id, reached, position: positions.at(-1) ?? '' });
  }

  /** Returns the position of each text, also of those that are not kept. */
  #keep({ topics, textOf, texts, kept }: SentBatch, { history, channelTopics }: RouterHistory) {
    return topics.map((topic, index) => {
      const channel = topic.slice(channelTopics.length) as Channel;
      const message = texts[textOf[index] ?? 0] ?? '';
      return history.add({ channel, message, isKept: kept?.[index] ?? false });
    });
  }

  /** A part for each worker would cost more than the text itself. Returns how many workers got it. */
  #sendSingle({ head, topics, texts }: SentBatch, position: string | undefined): number {
    const [topic = ''] = topics;
    const workers = this.#workersByTopic.get(topic);
    if (workers === undefined) return 0;
    const text = batchText(head, 0, texts[0] ?? '', position);
    for (const each of workers) this.#send(each, { kind: 'message', topic, text });
    return workers.size;
  }

  /** `positions` is undefined without history. Returns how many workers got each text, added up. */
  #sendParts(batch: SentBatch, positions: readonly (string | undefined)[] | undefined): number {
    const parts = new Map<W, BatchPart>();
    let reached = 0;
    for (const [index, topic] of batch.topics.entries()) {
      const workers = this.#workersByTopic.get(topic);
      reached += workers?.size ?? 0;
      for (const each of workers ?? []) {
        let part = parts.get(each);
        if (part === undefined) {
          part = createPart(batch.head, positions !== undefined);
          parts.set(each, part);
        }
        addToPart(part, batch, index, topic);
        part.positions?.push(positions?.[index]);
      }
    }
    for (const [each, part] of parts) this.#send(each, part);
    return reached;
  }

  /** Answers in the order of the messages: what the worker reads behind the answer is newer. */
  #recover(worker: W, id: number, { topics, ...limits }: BusRecoveryRequest): void {
    if (this.#kept === undefined) return;
    const { history, channelTopics } = this.#kept;
    const channels = topics.map((topic) => topic.slice(channelTopics.length) as Channel);
    const indexOf = new Map(channels.map((channel, index) => [channel, index]));
    const { position = '', verdicts, publications } = history.recover({ channels, ...limits });
    this.#send(worker, {
      kind: 'recovered',
      id,
      position,
      verdicts,
      indexes: publications.map(({ channel }) => indexOf.get(channel) ?? 0),
      positions: publications.map((each) => each.position),
      texts: publications.map(({ message }) => message),
    });
  }

  #sendPosition(worker: W): void {
    if (this.#kept === undefined) return;
    this.#send(worker, { kind: 'reached', position: this.#kept.history.position() });
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

function createPart(head: string, hasPositions: boolean): BatchPart {
  const part: BatchPart = {
    kind: 'batch part',
    head,
    topics: [],
    indexes: [],
    textOf: [],
    texts: [],
  };
  return hasPositions ? { ...part, positions: [] } : part;
}

function addToPart(part: BatchPart, { texts, textOf }: SentBatch, index: number, topic: string) {
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
