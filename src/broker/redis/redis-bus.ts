import { setTimeout as delay } from 'node:timers/promises';
import type { Log } from '../../telemetry/log.ts';
import type { BatchOutcome, Bus, BusBatch, BusListener, BusRecoveryRequest } from '../bus.ts';
import { ANSWER_WITHIN_MS } from '../request-memory.ts';
import { RedisConnection } from './connection.ts';
import type { HistoryLimits } from './history.ts';

/** Attempts to connect are this far apart, doubling, with up to as much again at random. */
const MIN_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 2_500;
const LOG_INTERVAL_MS = 10_000;
/** How often a duplicate looks for the answer to the request before it. */
const POLL_INTERVAL_MS = 50;

export interface RedisBusOptions {
  /** `redis://` or `rediss://` */
  readonly url: string;
  /** What every key begins with. */
  readonly prefix: string;
  /** What is kept of each channel. Undefined when nothing is. */
  readonly history?: HistoryLimits | undefined;
  readonly log: Log;
  /** Called when this Redis can never be used. */
  readonly onUnusable: (reason: string) => void;
}

const AWAY = new Error('Redis is not connected');
const CLOSED = new Error('the Redis bus is closed');

/** Redis' or Valkey's pub/sub. */
export class RedisBus implements Bus {
  readonly #url: string;
  readonly #prefix: string;
  readonly #history: HistoryLimits | undefined;
  readonly #log: Log;
  readonly #onUnusable: (reason: string) => void;
  readonly #closing = new AbortController();
  readonly #logFailure: (error: unknown) => void;
  readonly #logRefusal: (error: unknown) => void;
  readonly #logFull: (error: unknown) => void;
  /** The newest connection, which may still be opening. */
  #attempt: RedisConnection | undefined;
  /** The connection that carries texts. */
  #connection: RedisConnection | undefined;
  #running: Promise<void> = Promise.resolve();
  #isRoleUnknown = false;
  #wasConnected = false;

  constructor({ url, prefix, history, log, onUnusable }: RedisBusOptions) {
    this.#url = url;
    this.#prefix = prefix;
    this.#history = history;
    this.#log = log;
    this.#onUnusable = onUnusable;
    this.#logFailure = createFailureLog(log, 'Redis connection lost, reconnecting');
    this.#logRefusal = createFailureLog(log, 'Redis refused a command');
    this.#logFull = createFailureLog(
      log,
      'Redis takes no writes, refusing broadcasts with 503; if it is out of memory, raise its maxmemory or lower HISTORY_MESSAGES or HISTORY_SECONDS',
    );
  }

  get hasHistory(): boolean {
    return this.#history !== undefined;
  }

  open(listener: BusListener): void {
    this.#running = this.#run(listener);
  }

  publish(topic: string, text: string): Promise<number> {
    return this.#connection?.publish(topic, text) ?? Promise.reject(AWAY);
  }

  publishBatch(batch: BusBatch): Promise<BatchOutcome> {
    const key = batch.jti === undefined ? undefined : this.#keyOf(batch.jti);
    return this.#connection?.publishBatch(batch, key) ?? Promise.reject(AWAY);
  }

  recover(id: number, request: BusRecoveryRequest): Promise<void> {
    return this.#connection?.recover(id, request) ?? Promise.reject(AWAY);
  }

  storeAnswer(jti: string, answer: string): void {
    // A retry finds none then, and is answered with what is known.
    this.#connection?.setExisting(this.#keyOf(jti), answer).catch(() => {});
  }

  async findAnswer(jti: string): Promise<string | undefined> {
    const deadline = performance.now() + ANSWER_WITHIN_MS;
    try {
      while (this.#connection !== undefined) {
        const answer = await this.#connection.get(this.#keyOf(jti));
        if (answer) return answer;
        if (performance.now() + POLL_INTERVAL_MS > deadline) break;
        await delay(POLL_INTERVAL_MS);
      }
      return undefined;
    } catch {
      return undefined;
    }
  }

  async subscribe(topics: readonly string[]): Promise<void> {
    if (topics.length === 0) return;
    if (this.#connection === undefined) throw AWAY;
    await this.#connection.subscribe(topics);
  }

  unsubscribe(topics: readonly string[]): void {
    // A connection that is lost has unsubscribed already.
    this.#connection?.unsubscribe(topics);
  }

  reset(reason: string): void {
    this.#connection?.lose(new Error(reason));
  }

  #keyOf(jti: string): string {
    return `${this.#prefix}jti:${jti}`;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#attempt?.lose(CLOSED);
    await this.#running;
  }

  /** Connects, and again whenever the connection is lost, until `close`. */
  async #run(listener: BusListener): Promise<void> {
    const { signal } = this.#closing;
    let backoffMs = MIN_BACKOFF_MS;
    while (!signal.aborted) {
      const upMs = await this.#connect(listener);
      // A connection that fails at once gets the same growing delays as one that cannot be made.
      if (upMs > MAX_BACKOFF_MS) backoffMs = MIN_BACKOFF_MS;
      await delay(backoffMs * (1 + Math.random()), undefined, { signal }).catch(() => {});
      backoffMs = Math.min(backoffMs * 2, MAX_BACKOFF_MS);
    }
  }

  /** One connection, from the attempt to its loss. Resolves to how long it carried texts; never rejects. */
  async #connect(listener: BusListener): Promise<number> {
    let upSince = Number.POSITIVE_INFINITY;
    const connection = new RedisConnection({
      url: this.#url,
      prefix: this.#prefix,
      history: this.#history,
      listener,
      onUnknownRole: () => this.#warnOfUnknownRole(),
      onRefusal: this.#logRefusal,
      onFull: (error) => this.#setFull(listener, error),
    });
    this.#attempt = connection;
    try {
      const obstacle = await connection.open();
      if (obstacle !== undefined) {
        // A server that has been in use waits for a Redis that it can use again.
        if (this.#wasConnected) throw new Error(obstacle);
        this.#closing.abort();
        this.#onUnusable(obstacle);
        return 0;
      }
      this.#wasConnected = true;
      this.#connection = connection;
      this.#log.info('Redis connected');
      upSince = performance.now();
      listener.up();
      await connection.watch();
    } catch (error) {
      if (!this.#closing.signal.aborted) this.#logFailure(error);
    } finally {
      this.#attempt = undefined;
      connection.destroy();
      if (this.#connection !== undefined) {
        this.#connection = undefined;
        listener.down();
      }
    }
    return performance.now() - upSince;
  }

  #setFull(listener: BusListener, error: Error | undefined): void {
    if (error === undefined) this.#log.info('Redis takes writes again');
    else this.#logFull(error);
    listener.full(error !== undefined);
  }

  #warnOfUnknownRole(): void {
    if (this.#isRoleUnknown) return;
    this.#isRoleUnknown = true;
    this.#log.warn(
      'Redis allows neither ROLE nor INFO replication, so a failover that keeps connections open is not noticed',
    );
  }
}

/** Logs what is wrong with Redis: a new reason at once, the same one from time to time. */
function createFailureLog(log: Log, message: string): (error: unknown) => void {
  let lastReason = '';
  let lastTime = Number.NEGATIVE_INFINITY;
  return (error) => {
    const reason = describe(error);
    const now = performance.now();
    if (reason === lastReason && now - lastTime < LOG_INTERVAL_MS) return;
    lastReason = reason;
    lastTime = now;
    log.error({ error: reason }, message);
  };
}

/** An error for every address that was tried has no text of its own. */
function describe(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(describe).join(', ');
  return error instanceof Error ? error.message : String(error);
}
