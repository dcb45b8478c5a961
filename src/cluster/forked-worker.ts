import type { Worker } from 'node:cluster';
import { Backlog } from '../broker/backlog.ts';
import { bytesOf, type ToWorker } from '../broker/bus-cluster.ts';
import { MessageBatcher } from '../broker/message-batcher.ts';
import type { Log } from '../telemetry/log.ts';
import type { FromPrimary, Order } from './messages.ts';

/** A worker as its primary sees it: what it has to be told, and how much of that it has not read yet. */
export class ForkedWorker {
  readonly startedAt = performance.now();
  readonly #worker: Worker;
  readonly #backlog: Backlog;
  readonly #log: Log;
  readonly #batcher = new MessageBatcher<ToWorker>((batch) =>
    this.send(batch, bytesOf(batch.messages)),
  );
  /** What was ordered before the worker listened for orders. */
  readonly #missed = new Set<Order>();
  #isReady = false;
  #isKilled = false;

  /** A worker that leaves more than `maxWaitingBytes` unread is killed. */
  constructor(worker: Worker, maxWaitingBytes: number, log: Log) {
    this.#worker = worker;
    this.#backlog = new Backlog(maxWaitingBytes);
    this.#log = log;
  }

  /** Undefined when it could not be started. */
  get pid(): number | undefined {
    return this.#worker.process.pid;
  }

  /** Whether it listens for what it is told. */
  get isReady(): boolean {
    return this.#isReady;
  }

  /** Has the worker obey, as soon as it can. */
  order(order: Order): void {
    if (this.#isReady) this.send({ kind: 'order', order });
    else this.#missed.add(order);
  }

  /** To be called when the worker says that it listens for orders. */
  becomeReady(): void {
    this.#isReady = true;
    for (const order of this.#missed) this.order(order);
    this.#missed.clear();
  }

  /** Sends the message with all others of this turn of the event loop. */
  sendBatched(message: ToWorker): void {
    this.#batcher.add(message);
  }

  /** `bytes` is the size of what the message carries. A worker that has just died hears nothing. */
  send(message: FromPrimary, bytes = 0): void {
    if (this.#isKilled || !this.#worker.isConnected()) return;
    if (this.#backlog.isFull) {
      this.kill('a worker does not read what it is told; it is killed');
      return;
    }
    this.#worker.send(message, this.#backlog.add(bytes));
  }

  /** Ends the worker at once, stopped or not; `reason` is logged. */
  kill(reason: string): void {
    if (this.#isKilled) return;
    this.#isKilled = true;
    this.#log.error({ worker: this.pid, waitingBytes: this.#backlog.bytes }, reason);
    this.#worker.process.kill('SIGKILL');
  }
}
