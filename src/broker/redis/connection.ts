import { setTimeout as delay } from 'node:timers/promises';
import type { BatchOutcome, BusBatch, BusListener, BusRecoveryRequest } from '../bus.ts';
import {
  createRedisClient,
  isRefusal,
  isWriteRefusal,
  type RedisClient,
  RoleProbe,
  refuseReplica,
  withoutArguments,
} from './client.ts';
import { type HistoryLimits, RedisHistory } from './history.ts';
import { HistoryTicker } from './history-ticker.ts';
import { findObstacle } from './requirements.ts';
import { publishBatch } from './scripts.ts';
import { RedisSubscriptions } from './subscriptions.ts';

/** A dead connection that TCP does not report is detected within their sum. */
const PING_INTERVAL_MS = 3_000;
const PING_TIMEOUT_MS = 4_000;
/** From the first packet until the role of what answers there is known. */
const CONNECT_TIMEOUT_MS = 5_000;
/** Of texts that Redis has not taken yet, in UTF-16 units: when it stalls, the rest is refused and not collected. */
const MAX_UNANSWERED_LENGTH = 64 * 1_024 * 1_024;

const NO_ANSWER = new Error('Redis does not answer');

export interface RedisConnectionOptions {
  /** `redis://` or `rediss://` */
  readonly url: string;
  /** What every key begins with. */
  readonly prefix: string;
  /** Undefined when nothing is kept. */
  readonly history: HistoryLimits | undefined;
  readonly listener: Pick<BusListener, 'message' | 'reached' | 'recovered'>;
  /** Called when Redis refuses to say whether it is a master, maybe again with every ping. */
  readonly onUnknownRole: () => void;
  /** Called when Redis refuses a command that only batches need. */
  readonly onRefusal: (error: Error) => void;
  /** Called when Redis begins to refuse to keep anything, with the reason, and with undefined when it keeps it again. */
  readonly onFull: (error: Error | undefined) => void;
}

/** A node's session at Redis, until it is lost: two connections, since a subscribed one can do nothing else. */
export class RedisConnection {
  readonly #lost = new AbortController();
  readonly #publisher: RedisClient;
  readonly #subscriber: RedisClient;
  readonly #roles: readonly RoleProbe[];
  readonly #subscriptions: RedisSubscriptions;
  readonly #onUnknownRole: () => void;
  readonly #onRefusal: (error: Error) => void;
  readonly #history: RedisHistory | undefined;
  readonly #ticker: HistoryTicker | undefined;
  #unansweredLength = 0;

  constructor(options: RedisConnectionOptions) {
    const { url, prefix, history: limits, listener } = options;
    this.#publisher = this.#createClient(url);
    this.#subscriber = this.#createClient(url);
    this.#roles = this.#clients.map((client) => new RoleProbe(client));
    const history = limits && new RedisHistory({ client: this.#publisher, prefix, limits });
    this.#history = history;
    this.#ticker =
      history &&
      new HistoryTicker({
        history,
        ageMs: limits.ageMs,
        lost: this.#lost.signal,
        onFailure: (error) => this.#failed('EVALSHA', error),
        onFull: options.onFull,
      });
    const onMessage = (text: string, topic: string) => {
      const isTaken = topic === history?.topic && history.receive(text, listener);
      if (!isTaken) listener.message(topic, text);
    };
    this.#subscriptions = new RedisSubscriptions(this.#subscriber, onMessage, (command, error) =>
      this.#failed(command, error),
    );
    this.#onUnknownRole = options.onUnknownRole;
    this.#onRefusal = options.onRefusal;
  }

  /**
   * Connects. Resolves when a master is there, or to the reason why this Redis can never be used; rejects with the
   * reason when it cannot be used now.
   */
  async open(): Promise<string | undefined> {
    const history = this.#history;
    return this.#within(CONNECT_TIMEOUT_MS, async () => {
      await Promise.all(this.#clients.map((client) => client.connect()));
      const obstacle = await findObstacle(this.#publisher, { history: history !== undefined });
      if (obstacle !== undefined) return obstacle;
      await this.#check();
      if (history !== undefined) {
        await this.#subscriptions.subscribe([history.topic]);
        await this.#openHistory(history);
      }
      this.#lost.signal.throwIfAborted();
      return undefined;
    });
  }

  /** Checks both connections from time to time, and rejects with the reason when they are lost. */
  async watch(): Promise<never> {
    void this.#ticker?.run();
    for (;;) {
      // A loss ends the delay early; the check below rejects with its reason.
      await delay(PING_INTERVAL_MS, undefined, { signal: this.#lost.signal }).catch(() => {});
      await this.#within(PING_TIMEOUT_MS, async () => {
        this.#lost.signal.throwIfAborted();
        await this.#check();
      });
    }
  }

  /** Resolves to the number of connections that Redis handed the text to. */
  async publish(topic: string, text: string): Promise<number> {
    try {
      return await this.#whileUnanswered(text.length, () => this.#publisher.publish(topic, text));
    } catch (error) {
      if (error !== NO_ANSWER) this.#failed('PUBLISH', error);
      throw error;
    }
  }

  /** `key` is of the batch's `jti`. A refusal of the script is no loss: other broadcasts get through. */
  async publishBatch(batch: BusBatch, key: string | undefined): Promise<BatchOutcome> {
    const sum = batch.texts.reduce((total, text) => total + text.length, 0);
    return this.#whileUnanswered(sum, () =>
      this.#refusable(
        () => this.#history?.publish(batch, key) ?? publishBatch(this.#publisher, batch, key),
      ),
    );
  }

  /** The answer comes to the listener. Rejects when there is none. */
  async recover(id: number, request: BusRecoveryRequest): Promise<void> {
    await this.#refusable(async () => this.#history?.recover(id, request));
  }

  /** Overwrites the value of a key that is still there, for as long as it lives. */
  async setExisting(key: string, value: string): Promise<void> {
    await this.#refusable(() =>
      this.#publisher.set(key, value, { condition: 'XX', expiration: 'KEEPTTL' }),
    );
  }

  get(key: string): Promise<string | null> {
    return this.#refusable(() => this.#publisher.get(key));
  }

  subscribe(topics: readonly string[]): Promise<void> {
    return this.#subscriptions.subscribe(topics);
  }

  unsubscribe(topics: readonly string[]): void {
    this.#subscriptions.unsubscribe(topics);
  }

  /** Gives both connections up; the first reason counts. Safe to call twice. */
  lose(reason: unknown): void {
    this.#lost.abort(reason);
  }

  /** Ends what is left of both connections. */
  destroy(): void {
    for (const client of this.#clients) client.destroy();
  }

  get #clients(): readonly RedisClient[] {
    return [this.#publisher, this.#subscriber];
  }

  #createClient(url: string): RedisClient {
    const client = createRedisClient(url, CONNECT_TIMEOUT_MS, this.#lost.signal);
    client.on('error', (error) => this.lose(error));
    client.on('end', () => this.lose(new Error('Redis closed the connection')));
    return client;
  }

  /**
   * Rejects unless both connections answer and neither leads to a replica: what is published there reaches no node
   * elsewhere. A failover may turn a master into one and keep its connections.
   */
  async #check(): Promise<void> {
    const [roles] = await Promise.all([
      Promise.all(this.#roles.map((probe) => probe.role())),
      Promise.all(this.#clients.map((client) => client.ping())),
    ]);
    if (roles.includes(undefined)) this.#onUnknownRole();
    for (const role of roles) refuseReplica(role);
  }

  /** A refused command counts as a loss, so that reconnecting logs it again until the permissions are changed. */
  #failed(command: string, error: unknown): void {
    this.lose(
      isRefusal(error) ? new Error(`${command} refused: ${withoutArguments(error)}`) : error,
    );
  }

  async #openHistory(history: RedisHistory): Promise<void> {
    try {
      await history.open();
    } catch (error) {
      this.#failed('EVALSHA', error);
      throw error;
    }
  }

  /** Counts what is sent until it is answered. Rejects, without sending, when too much waits already. */
  async #whileUnanswered<T>(length: number, send: () => Promise<T>): Promise<T> {
    const total = this.#unansweredLength + length;
    if (this.#unansweredLength > 0 && total > MAX_UNANSWERED_LENGTH) throw NO_ANSWER;
    this.#unansweredLength = total;
    try {
      return await send();
    } finally {
      this.#unansweredLength -= length;
    }
  }

  /** Runs a command of batches. Other broadcasts go on without them, so Redis may refuse it (ACL, out of memory). */
  async #refusable<T>(send: () => Promise<T>): Promise<T> {
    try {
      return await send();
    } catch (error) {
      // A master that has become a replica refuses to write; what it publishes reaches no node elsewhere.
      if (!isRefusal(error) || error.message.includes('READONLY')) this.#failed('EVALSHA', error);
      else if (this.#ticker !== undefined && isWriteRefusal(error)) this.#ticker.refused(error);
      else this.#onRefusal(new Error(`a batch was refused: ${withoutArguments(error)}`));
      throw error;
    }
  }

  /** Runs `task` while both connections are there; rejects with the reason when they are lost. */
  async #within<T>(timeoutMs: number, task: () => Promise<T>): Promise<T> {
    // A peer may accept the connection and never answer.
    const timeout = setTimeout(() => this.lose(NO_ANSWER), timeoutMs);
    try {
      return await task();
    } catch (error) {
      // After a loss the commands under way fail because their sockets were destroyed; the first reason says more.
      throw this.#lost.signal.aborted ? this.#lost.signal.reason : error;
    } finally {
      clearTimeout(timeout);
    }
  }
}
