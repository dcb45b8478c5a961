import { onTestFinished } from 'vitest';
import type { BusRecovery } from '../../src/broker/bus.ts';
import { createRedisClient } from '../../src/broker/redis/client.ts';
import { type HistoryLimits, RedisHistory } from '../../src/broker/redis/history.ts';
import type { HistoryListener } from '../../src/broker/redis/history-texts.ts';
import type { RedisServer } from '../support/redis.ts';

export interface Asked {
  readonly since: string | null;
  readonly topics?: readonly string[];
  readonly maxMessages?: number;
  readonly maxBytes?: number;
}

/** One session of the history on a real Redis, without a node around it. */
export class HistorySession {
  readonly history: RedisHistory;
  /** What came over the bus, in its order: the texts of topics, `tick POSITION` and `answer POSITION`. */
  readonly received: string[] = [];
  readonly #prefix: string;
  readonly #publisher: ReturnType<typeof createRedisClient>;
  readonly #subscriber: ReturnType<typeof createRedisClient>;
  readonly #answers = new Map<number, (recovery: BusRecovery) => void>();
  #lastTick = '';
  #lastId = 0;
  #isClosed = false;

  private constructor(url: string, prefix: string, limits: HistoryLimits) {
    const { signal } = new AbortController();
    this.#prefix = prefix;
    this.#publisher = createRedisClient(url, 5_000, signal).on('error', () => {});
    this.#subscriber = createRedisClient(url, 5_000, signal).on('error', () => {});
    this.history = new RedisHistory({ client: this.#publisher, prefix, limits });
  }

  static async open(
    { url }: Pick<RedisServer, 'url'>,
    { prefix = 'p:', messages = 100, ageMs = 300_000 } = {},
  ): Promise<HistorySession> {
    const session = new HistorySession(url, prefix, { messages, ageMs });
    await session.#connect();
    await session.history.open();
    return session;
  }

  /** To receive what is published on these channels. */
  async listen(...channels: string[]): Promise<void> {
    await this.#subscriber.subscribe(channels.map(this.topicOf), (text) => {
      this.received.push(text);
    });
  }

  topicOf = (channel: string): string => `${this.#prefix}channel:${channel}`;

  /** Publishes to channels, of which those in brackets are not kept, and resolves to the last position. */
  async publish(
    channels: readonly string[],
    message: string,
    { jti, texts = [message] }: { jti?: string; texts?: readonly string[] } = {},
  ): Promise<string | 'duplicate'> {
    const outcome = await this.history.publish(
      {
        head: 'head',
        topics: channels.map((channel) => this.topicOf(channel.replace(/^\((.*)\)$/, '$1'))),
        textOf: channels.map((_, index) => Math.min(index, texts.length - 1)),
        texts,
        kept: channels.map((channel) => !channel.startsWith('(')),
        jti,
      },
      jti === undefined ? undefined : `${this.#prefix}jti:${jti}`,
    );
    return outcome === 'duplicate' ? outcome : String(outcome.position);
  }

  /** Resolves to the position that came over the bus. */
  async tick(): Promise<string> {
    await this.history.tick();
    return this.#lastTick;
  }

  async recover(
    channels: readonly string[],
    { since, maxMessages = 1_000, maxBytes = 1_000_000 }: Asked,
  ): Promise<BusRecovery> {
    this.#lastId += 1;
    const id = this.#lastId;
    const answered = new Promise<BusRecovery>((resolve) => this.#answers.set(id, resolve));
    const topics = channels.map(this.topicOf);
    await this.history.recover(id, { topics, since, maxMessages, maxBytes });
    return answered;
  }

  /** The verdict on one channel. */
  async verdict(channel: string, since: string): Promise<number | string | undefined> {
    return (await this.recover([channel], { since })).verdicts[0];
  }

  /** Safe to call twice. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#publisher.destroy();
    this.#subscriber.destroy();
  }

  async #connect(): Promise<void> {
    await Promise.all([this.#publisher.connect(), this.#subscriber.connect()]);
    onTestFinished(() => this.close());
    const listener: HistoryListener = {
      recovered: (id, recovery) => {
        this.received.push(`answer ${recovery.position}`);
        this.#answers.get(id)?.(recovery);
      },
      reached: (position) => {
        this.received.push(`tick ${position}`);
        this.#lastTick = position;
      },
    };
    await this.#subscriber.subscribe(this.history.topic, (text) => {
      if (!this.history.receive(text, listener)) this.received.push(`malformed ${text}`);
    });
  }
}
