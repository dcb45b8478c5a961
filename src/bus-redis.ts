import { setTimeout as delay } from 'node:timers/promises';
import { createClient } from 'redis';
import type { Bus, BusListener } from './bus.ts';
import { type Log, rateLimited } from './log.ts';

/** A dead connection that TCP does not notice is noticed within their sum. */
const PING_INTERVAL_MS = 3_000;
const PING_TIMEOUT_MS = 4_000;
/** From the first packet until it is known what answers there. */
const CONNECT_TIMEOUT_MS = 5_000;
/** Attempts to connect are this far apart, doubling, with up to as much again at random. */
const LEAST_BACKOFF_MS = 100;
const MOST_BACKOFF_MS = 2_500;
const LOG_INTERVAL_MS = 10_000;

export interface RedisBusOptions {
  /** `redis://` or `rediss://` */
  readonly url: string;
  readonly log: Log;
  /** Told when this Redis can never do. */
  readonly onUnusable: (reason: string) => void;
}

const NO_ANSWER = new Error('Redis does not answer');

type Client = ReturnType<typeof makeClient>;

/** `ended` also ends an attempt to connect, which `destroy` does not. */
function makeClient(url: string, ended: AbortSignal) {
  return createClient({
    url,
    // What could not be sent at once must fail: sent later it would arrive after a 503.
    disableOfflineQueue: true,
    socket: { connectTimeout: CONNECT_TIMEOUT_MS, reconnectStrategy: false, signal: ended },
  });
}

/** Redis' or Valkey's pub/sub. Two connections, since one that is subscribed can do nothing else. */
export class RedisBus implements Bus {
  readonly #url: string;
  readonly #log: Log;
  readonly #logFailure: (error: unknown) => void;
  readonly #onUnusable: (reason: string) => void;
  readonly #closing = new AbortController();
  #publisher: Client | undefined;
  #subscriber: Subscriber | undefined;
  #running: Promise<void> = Promise.resolve();
  #onMessage: (text: string, topic: string) => void = () => {};

  constructor({ url, log, onUnusable }: RedisBusOptions) {
    this.#url = url;
    this.#log = log;
    this.#onUnusable = onUnusable;
    this.#logFailure = rateLimited(LOG_INTERVAL_MS, (error) => {
      log.error({ error: describe(error) }, 'Redis is away');
    });
  }

  open(listener: BusListener): void {
    this.#onMessage = (text, topic) => listener.message(topic, text);
    this.#running = this.#run(listener);
  }

  async publish(topic: string, text: string): Promise<number> {
    if (this.#publisher === undefined) throw new Error('Redis is away');
    return this.#publisher.publish(topic, text);
  }

  async subscribe(topics: readonly string[]): Promise<void> {
    if (topics.length === 0) return;
    if (this.#subscriber === undefined) throw new Error('Redis is away');
    await this.#subscriber.subscribe(topics);
  }

  unsubscribe(topics: readonly string[]): void {
    // A connection that is lost has unsubscribed already.
    this.#subscriber?.unsubscribe(topics);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  /** Connects, and again whenever the connection is lost, until `close`. */
  async #run(listener: BusListener): Promise<void> {
    const { signal } = this.#closing;
    let backoffMs = LEAST_BACKOFF_MS;
    while (!signal.aborted) {
      let upSince = Number.POSITIVE_INFINITY;
      const lost = new AbortController();
      const ended = AbortSignal.any([lost.signal, signal]);
      const clients = [this.#createClient(lost, ended), this.#createClient(lost, ended)] as const;
      // A peer may take the connection and never say a word.
      const timeout = setTimeout(() => lost.abort(NO_ANSWER), CONNECT_TIMEOUT_MS);
      try {
        await Promise.all(clients.map((client) => client.connect()));
        if (await isCluster(clients[0])) {
          this.#onUnusable(
            'REDIS_URL names a Redis Cluster, whose PUBLISH counts one of its nodes only',
          );
          return;
        }
        ended.throwIfAborted();
        clearTimeout(timeout);
        this.#publisher = clients[0];
        this.#subscriber = new Subscriber(clients[1], this.#onMessage, lost);
        this.#log.info('Redis is there');
        upSince = performance.now();
        listener.up();
        await this.#ping(clients, lost, ended);
      } catch (error) {
        if (!signal.aborted) this.#logFailure(lost.signal.aborted ? lost.signal.reason : error);
      } finally {
        clearTimeout(timeout);
        const wasUp = this.#publisher !== undefined;
        this.#publisher = undefined;
        this.#subscriber = undefined;
        for (const client of clients) client.destroy();
        if (wasUp) listener.down();
      }
      // One that connects and fails at once is left in peace like one that does not connect.
      if (performance.now() - upSince > MOST_BACKOFF_MS) backoffMs = LEAST_BACKOFF_MS;
      await delay(backoffMs * (1 + Math.random()), undefined, { signal }).catch(() => {});
      backoffMs = Math.min(backoffMs * 2, MOST_BACKOFF_MS);
    }
  }

  #createClient(lost: AbortController, ended: AbortSignal): Client {
    const client = makeClient(this.#url, ended);
    client.on('error', (error) => lost.abort(error));
    client.on('end', () => lost.abort(new Error('Redis closed the connection')));
    return client;
  }

  /** Rejects when a connection is lost or does not answer; resolves on `close`. */
  async #ping(
    clients: readonly Client[],
    lost: AbortController,
    ended: AbortSignal,
  ): Promise<void> {
    while (!ended.aborted) {
      await delay(PING_INTERVAL_MS, undefined, { signal: ended }).catch(() => {});
      const timeout = setTimeout(() => lost.abort(NO_ANSWER), PING_TIMEOUT_MS);
      // `ended` takes the sockets with it, and these fail.
      await Promise.all(clients.map((client) => client.ping())).finally(() => {
        clearTimeout(timeout);
      });
    }
    if (lost.signal.aborted) throw lost.signal.reason;
  }
}

/** What the subscribed connection has been asked for, until it is lost. */
class Subscriber {
  readonly #client: Client;
  readonly #onMessage: (text: string, topic: string) => void;
  readonly #lost: AbortController;
  /** Topics whose `SUBSCRIBE` is under way, with how many of them. */
  readonly #subscribing = new Map<string, number>();
  /** Those of them that nobody wants any more. */
  readonly #unwanted = new Set<string>();

  /** `lost` is told when Redis refuses a topic: its permissions may change, and until then this is no bus. */
  constructor(
    client: Client,
    onMessage: (text: string, topic: string) => void,
    lost: AbortController,
  ) {
    this.#client = client;
    this.#onMessage = onMessage;
    this.#lost = lost;
  }

  async subscribe(topics: readonly string[]): Promise<void> {
    for (const topic of topics) {
      this.#unwanted.delete(topic);
      this.#subscribing.set(topic, (this.#subscribing.get(topic) ?? 0) + 1);
    }
    try {
      await this.#client.subscribe([...topics], this.#onMessage);
    } catch (error) {
      this.#lost.abort(error);
      throw error;
    } finally {
      this.unsubscribe(topics.filter((topic) => this.#settle(topic)));
    }
  }

  unsubscribe(topics: readonly string[]): void {
    // Sent now it would be forgotten by the client, which then takes a topic that is wanted again for subscribed
    // already, just before Redis confirms the opposite.
    const settled = topics.filter((topic) => !this.#subscribing.has(topic));
    for (const topic of topics) if (this.#subscribing.has(topic)) this.#unwanted.add(topic);
    if (settled.length > 0) this.#client.unsubscribe(settled, this.#onMessage).catch(() => {});
  }

  /** Whether the topic is to be left, now that its `SUBSCRIBE` has been answered. */
  #settle(topic: string): boolean {
    const others = (this.#subscribing.get(topic) ?? 0) - 1;
    if (others > 0) {
      this.#subscribing.set(topic, others);
      return false;
    }
    this.#subscribing.delete(topic);
    return this.#unwanted.delete(topic);
  }
}

/** An error for every address that was tried has no text of its own. */
function describe(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(describe).join(', ');
  return error instanceof Error ? error.message : String(error);
}

/** False too where the question is not allowed: managed services may forbid `INFO`. */
async function isCluster(client: Client): Promise<boolean> {
  const info = await client.info('cluster').catch(() => '');
  return info.includes('cluster_enabled:1');
}
