import type { Worker } from 'node:cluster';
import type { Log } from '../telemetry/log.ts';
import { Backlog } from './backlog.ts';
import { MessageBatcher } from './message-batcher.ts';
import type { FromPrimary, Order } from './messages.ts';
import { bytesOf, type ToWorker } from './topic-messages.ts';

/** The primary's side of a worker: sends it messages and orders, and bounds how much it may leave unread. */
export class ForkedWorker {
  readonly startedAt = performance.now();
  readonly #worker: Worker;
  readonly #backlog: Backlog;
  readonly #log: Log;
  readonly #batcher = new MessageBatcher<ToWorker>((batch) =>
    this.send(batch, bytesOf(batch.messages)),
  );
  /** Orders given before the worker listened for them. */
  readonly #pendingOrders = new Set<Order>();
  #isReady = false;
  #isKilled = false;

  /** A worker that leaves more than `maxWaitingBytes` bytes unread is killed. */
  constructor(worker: Worker, maxWaitingBytes: number, log: Log) {
    this.#worker = worker;
    this.#backlog = new Backlog(maxWaitingBytes);
    this.#log = log;
  }

  /** Undefined if the process could not be started. */
  get pid(): number | undefined {
    return this.#worker.process.pid;
  }

  /** True once the worker listens for orders. */
  get isReady(): boolean {
    return this.#isReady;
  }

  /** Sends the order, or keeps it until the worker listens for orders. */
  order(order: Order): void {
    if (this.#isReady) this.send({ kind: 'order', order });
    else this.#pendingOrders.add(order);
  }

  /** To be called when the worker has reported that it listens for orders. Sends those that wait. */
  becomeReady(): void {
    this.#isReady = true;
    for (const order of this.#pendingOrders) this.order(order);
    this.#pendingOrders.clear();
  }

  /** Sends the message with all others of this turn of the event loop. */
  sendBatched(message: ToWorker): void {
    this.#batcher.add(message);
  }

  /** `bytes` is the size of the message's payload. Does nothing for a worker that has died. */
  send(message: FromPrimary, bytes = 0): void {
    if (this.#isKilled || !this.#worker.isConnected()) return;
    if (this.#backlog.isFull) {
      this.kill('worker does not read its messages, killing it');
      return;
    }
    this.#worker.send(message, this.#backlog.add(bytes));
  }

  /** Kills the worker, even one that is suspended by SIGSTOP. Logs `reason`. */
  kill(reason: string): void {
    if (this.#isKilled) return;
    this.#isKilled = true;
    this.#log.error({ worker: this.pid, waitingBytes: this.#backlog.bytes }, reason);
    this.#worker.process.kill('SIGKILL');
  }
}
