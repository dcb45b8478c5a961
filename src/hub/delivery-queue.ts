import type { Publication } from '../protocol/publishing.ts';
import { EncodedMessage, type Subscriber } from './hub.ts';

/** How long one turn of the event loop hands out messages. The rest waits, so that everything else is served. */
const MAX_TURN_MS = 10;

/** UTF-16 units of message text handed out before sockets have to be written. They share it, but join it per socket. */
const MAX_UNWRITTEN_LENGTH = 4 * 1_024 * 1_024;

/** What may wait to be handed out, in bytes, before more is refused. */
const MAX_WAITING_BYTES = 64 * 1_024 * 1_024;

/** What a task and each of its publications cost beside the text. */
const TASK_BYTES = 1_024;
const PUBLICATION_BYTES = 64;

/** Where the queue hands publications to: a hub, or what gives them a position on the way. */
export interface PublicationSink {
  /** Returns how many subscribers took it. Publications of the same text share their `message`. */
  publish(publication: Publication, message?: EncodedMessage): number;
}

/** Work that is done in order, step by step. */
interface Task {
  readonly bytes: number;
  next: Task | undefined;
  /** Does one step and returns the length of the text that it handed out. */
  step(): number;
  readonly isDone: boolean;
}

/**
 * The one order in which a process hands out publications and confirms subscriptions. What comes while nothing waits is
 * done at once. A large batch is handed out over several turns of the event loop, and what comes after it waits behind it.
 */
export class DeliveryQueue {
  readonly #sink: PublicationSink;
  readonly #isWriting: () => boolean;
  #first: Task | undefined;
  #last: Task | undefined;
  #waitingBytes = 0;
  readonly #turns = new Map<Subscriber, Set<SubscriptionTask>>();
  /** Undefined until something is handed out in this turn of the event loop. */
  #turnEndsAt: number | undefined;
  #unwrittenLength = 0;
  #isRunning = false;

  /** `isWriting` tells whether sockets are still to be written with what was handed out in earlier turns. */
  constructor(sink: PublicationSink, isWriting: () => boolean = () => false) {
    this.#sink = sink;
    this.#isWriting = isWriting;
  }

  /** True when nothing waits: whoever has one step to do may do it without the queue. */
  get isEmpty(): boolean {
    return this.#first === undefined;
  }

  /** Whether publishers are faster than this process. Judged by what waits already, so that one batch always fits. */
  get isFull(): boolean {
    return this.#waitingBytes > MAX_WAITING_BYTES;
  }

  /**
   * Hands the publications out, one after the other with nothing in between, as soon as all that came before has been.
   * `onDone` is told how many subscribers took each; it may be called before this returns, and must not throw.
   */
  publish(
    publications: readonly Publication[],
    onDone: (deliveries: readonly number[]) => void,
  ): void {
    this.#add(new PublishTask(this.#sink, publications, onDone));
  }

  /** Calls `onTurn` when all that was queued before has been handed out, unless the subscriber is dropped before. */
  subscribe(subscriber: Subscriber, onTurn: () => void): void {
    if (this.isEmpty) {
      onTurn();
      return;
    }
    const task = new SubscriptionTask(() => {
      this.#forget(subscriber, task);
      onTurn();
    });
    const tasks = this.#turns.get(subscriber);
    if (tasks === undefined) this.#turns.set(subscriber, new Set([task]));
    else tasks.add(task);
    this.#add(task);
  }

  /** Calls `onTurn` when all that was queued before has been handed out. */
  inTurn(onTurn: () => void): void {
    if (this.isEmpty) onTurn();
    else this.#add(new SubscriptionTask(onTurn));
  }

  /** Drops what the subscriber waits for. Safe to call twice. */
  drop(subscriber: Subscriber): void {
    const tasks = this.#turns.get(subscriber);
    if (tasks === undefined) return;
    this.#turns.delete(subscriber);
    for (const task of tasks) task.cancel();
  }

  /** Hands out at once, however long it takes, until the queue is no longer full. */
  relieve(): void {
    while (this.isFull && !this.#isRunning) this.#runOne();
  }

  #add(task: Task): void {
    if (this.#last === undefined) this.#first = task;
    else this.#last.next = task;
    this.#last = task;
    this.#waitingBytes += task.bytes;
    if (this.#first === task) this.#run();
  }

  /** Hands out until the queue is empty or the time of this turn is up. */
  #run(): void {
    if (this.#isRunning) return;
    if (this.#turnEndsAt === undefined) {
      this.#turnEndsAt = performance.now() + MAX_TURN_MS;
      setImmediate(() => this.#beginTurn());
    } else if (performance.now() >= this.#turnEndsAt) {
      return;
    }
    while (this.#first !== undefined && this.#unwrittenLength < MAX_UNWRITTEN_LENGTH) {
      this.#runOne();
      if (performance.now() >= this.#turnEndsAt) return;
    }
  }

  #beginTurn(): void {
    this.#turnEndsAt = undefined;
    // While the outbox is behind, more text would be joined to what waits for the same sockets, without a bound.
    if (!this.#isWriting()) this.#unwrittenLength = 0;
    if (this.#first !== undefined) this.#run();
  }

  #runOne(): void {
    const task = this.#first;
    if (task === undefined) return;
    // A callback that publishes joins the end of the queue.
    this.#isRunning = true;
    this.#unwrittenLength += task.step();
    this.#isRunning = false;
    if (!task.isDone) return;
    this.#waitingBytes -= task.bytes;
    this.#first = task.next;
    if (this.#first === undefined) this.#last = undefined;
  }

  #forget(subscriber: Subscriber, task: SubscriptionTask): void {
    const tasks = this.#turns.get(subscriber);
    tasks?.delete(task);
    if (tasks?.size === 0) this.#turns.delete(subscriber);
  }
}

class PublishTask implements Task {
  readonly bytes: number;
  next: Task | undefined;
  readonly #sink: PublicationSink;
  readonly #publications: readonly Publication[];
  readonly #onDone: (deliveries: readonly number[]) => void;
  readonly #deliveries: number[] = [];
  #message: EncodedMessage | undefined;

  constructor(
    sink: PublicationSink,
    publications: readonly Publication[],
    onDone: (deliveries: readonly number[]) => void,
  ) {
    this.#sink = sink;
    this.#publications = publications;
    this.#onDone = onDone;
    let bytes = TASK_BYTES + publications.length * PUBLICATION_BYTES;
    let last: string | undefined;
    for (const { channel, message } of publications) {
      bytes += channel.length;
      if (message !== last) bytes += message.length;
      last = message;
    }
    this.bytes = bytes;
  }

  get isDone(): boolean {
    return this.#deliveries.length >= this.#publications.length;
  }

  step(): number {
    const publication = this.#publications[this.#deliveries.length];
    if (publication === undefined) return 0;
    // Publications with the same text follow each other, so one is remembered.
    if (this.#message?.text !== publication.message) {
      this.#message = new EncodedMessage(publication.message);
    }
    const deliveries = this.#sink.publish(publication, this.#message);
    this.#deliveries.push(deliveries);
    if (this.isDone) this.#onDone(this.#deliveries);
    return deliveries === 0 ? 0 : publication.message.length;
  }
}

class SubscriptionTask implements Task {
  readonly bytes = TASK_BYTES;
  readonly isDone = true;
  next: Task | undefined;
  #onTurn: (() => void) | undefined;

  constructor(onTurn: () => void) {
    this.#onTurn = onTurn;
  }

  cancel(): void {
    this.#onTurn = undefined;
  }

  step(): number {
    this.#onTurn?.();
    return 0;
  }
}
