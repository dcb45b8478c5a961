import {
  type BatchOutcome,
  type Bus,
  type BusBatch,
  type BusListener,
  type BusRecoveryRequest,
  batchText,
} from '../broker/bus.ts';
import type { BatchPart, RecoveredTexts, ToPrimary, ToWorker } from './topic-messages.ts';

/** What the primary answers a request with. */
type Response = Extract<ToWorker, { readonly kind: 'done' | 'duplicate' | 'answer' }>;

interface Request {
  readonly resolve: (response: Response) => void;
  readonly reject: (error: Error) => void;
}

/** Each takes little of the primary's time. What they bring waits for the worker with all else that it has not read yet. */
const MAX_RECOVERIES = 16;

/** A worker's part: a bus that is the primary. It is lost while the primary does not read. */
export class ClusterBus implements Bus {
  readonly maxRecoveries = MAX_RECOVERIES;
  readonly hasHistory: boolean;
  readonly #send: (message: ToPrimary) => void;
  readonly #waiting = new Map<number, Request>();
  #listener: BusListener | undefined;
  #isLost = false;
  #lastId = 0;

  /** `send` must keep the order of what it is given, and not throw. `hasHistory` tells whether the primary keeps messages. */
  constructor(hasHistory: boolean, send: (message: ToPrimary) => void) {
    this.hasHistory = hasHistory;
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
      case 'recovered':
        this.#receiveRecovered(message);
        return;
      case 'reached':
        this.#listener?.reached(message.position);
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
    const { kept, ...rest } = batch;
    const sent = this.hasHistory ? batch : rest;
    const response = await this.#request((id) => ({ kind: 'publish batch', id, ...sent }));
    if (response.kind === 'duplicate') return 'duplicate';
    const position = response.kind === 'done' ? response.position : undefined;
    return { reached: reachedOf(response), position };
  }

  async recover(id: number, request: BusRecoveryRequest): Promise<void> {
    if (this.#isLost) throw new Error('the first process hangs');
    this.#send({ kind: 'recover', id, ...request });
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

  #receivePart({ head, topics, indexes, textOf, texts, positions }: BatchPart): void {
    for (const [at, topic] of topics.entries()) {
      const text = texts[textOf[at] ?? 0] ?? '';
      this.#listener?.message(topic, batchText(head, indexes[at] ?? 0, text, positions?.[at]));
    }
  }

  #receiveRecovered({ id, position, verdicts, indexes, positions, texts }: RecoveredTexts): void {
    const publications = texts.map((message, at) => ({
      index: indexes[at] ?? 0,
      position: positions[at] ?? '',
      message,
    }));
    this.#listener?.recovered(id, { position, verdicts, publications });
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
