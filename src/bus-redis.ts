import { setTimeout as delay } from 'node:timers/promises';
import { createClient } from 'redis';
import type { Bus, BusListener } from './bus.ts';
import { type Log, rateLimited } from './log.ts';

/** A dead connection that TCP does not notice is noticed within their sum. */
const PING_INTERVAL_MS = 3_000;
const PING_TIMEOUT_MS = 4_000;
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

type Client = ReturnType<typeof makeClient>;

function makeClient(url: string) {
  return createClient({
    url,
    // What could not be sent at once must fail: sent later it would arrive after a 503.
    disableOfflineQueue: true,
    socket: { connectTimeout: CONNECT_TIMEOUT_MS, reconnectStrategy: false },
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
  #subscriber: Client | undefined;
  #running: Promise<void> = Promise.resolve();
  #onMessage: (text: string, topic: string) => void = () => {};

  constructor({ url, log, onUnusable }: RedisBusOptions) {
    this.#url = url;
    this.#log = log;
    this.#onUnusable = onUnusable;
    this.#logFailure = rateLimited(LOG_INTERVAL_MS, (error) => {
      log.error({ error: error instanceof Error ? error.message : String(error) }, 'Redis is away');
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
    await this.#subscriber.subscribe([...topics], this.#onMessage);
  }

  unsubscribe(topics: readonly string[]): void {
    // A connection that is lost has unsubscribed already.
    this.#subscriber?.unsubscribe([...topics], this.#onMessage).catch(() => {});
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
      const lost = new AbortController();
      const clients = [this.#createClient(lost), this.#createClient(lost)] as const;
      const destroy = () => {
        for (const client of clients) if (client.isOpen) client.destroy();
      };
      // A connection attempt would go on for its whole timeout.
      signal.addEventListener('abort', destroy, { once: true });
      try {
        await Promise.all(clients.map((client) => client.connect()));
        if (await isCluster(clients[0])) {
          this.#onUnusable(
            'REDIS_URL names a Redis Cluster, whose PUBLISH counts one of its nodes only',
          );
          return;
        }
        backoffMs = LEAST_BACKOFF_MS;
        [this.#publisher, this.#subscriber] = clients;
        this.#log.info('Redis is there');
        listener.up();
        await this.#ping(clients, lost);
      } catch (error) {
        if (!signal.aborted) this.#logFailure(lost.signal.aborted ? lost.signal.reason : error);
      } finally {
        const wasUp = this.#publisher !== undefined;
        this.#publisher = undefined;
        this.#subscriber = undefined;
        signal.removeEventListener('abort', destroy);
        destroy();
        if (wasUp) listener.down();
      }
      await delay(backoffMs * (1 + Math.random()), undefined, { signal }).catch(() => {});
      backoffMs = Math.min(backoffMs * 2, MOST_BACKOFF_MS);
    }
  }

  #createClient(lost: AbortController): Client {
    const client = makeClient(this.#url);
    client.on('error', (error) => lost.abort(error));
    client.on('end', () => lost.abort(new Error('Redis closed the connection')));
    return client;
  }

  /** Rejects when a connection is lost or does not answer; resolves on `close`. */
  async #ping(clients: readonly Client[], lost: AbortController): Promise<void> {
    const ended = AbortSignal.any([lost.signal, this.#closing.signal]);
    const end = new Promise<void>((resolve) => {
      ended.addEventListener('abort', () => resolve(), { once: true });
    });
    while (!ended.aborted) {
      await delay(PING_INTERVAL_MS, undefined, { signal: ended }).catch(() => {});
      const timeout = setTimeout(
        () => lost.abort(new Error('Redis does not answer')),
        PING_TIMEOUT_MS,
      );
      const pings = Promise.all(clients.map((client) => client.ping()));
      await Promise.race([pings, end]).finally(() => clearTimeout(timeout));
      // Pings of a connection that has been lost fail when nobody waits for them any more.
      pings.catch(() => {});
    }
    if (lost.signal.aborted) throw lost.signal.reason;
  }
}

/** False too where the question is not allowed: managed services may forbid `INFO`. */
async function isCluster(client: Client): Promise<boolean> {
  const info = await client.info('cluster').catch(() => '');
  return info.includes('cluster_enabled:1');
}
