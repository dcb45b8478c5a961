import type { RedisClient } from './client.ts';

/** What one connection is subscribed to, until it is lost. */
export class RedisSubscriptions {
  readonly #client: RedisClient;
  readonly #onMessage: (text: string, topic: string) => void;
  readonly #onFailure: (command: string, error: unknown) => void;
  /** Topics with a `SUBSCRIBE` under way, and how many of those each has. */
  readonly #subscribing = new Map<string, number>();
  /** Those of them that nobody wants any more. */
  readonly #unwanted = new Set<string>();

  /** `onFailure` is told of every command that Redis did not confirm, whoever waits for it. */
  constructor(
    client: RedisClient,
    onMessage: (text: string, topic: string) => void,
    onFailure: (command: string, error: unknown) => void,
  ) {
    this.#client = client;
    this.#onMessage = onMessage;
    this.#onFailure = onFailure;
  }

  async subscribe(topics: readonly string[]): Promise<void> {
    for (const topic of topics) {
      this.#unwanted.delete(topic);
      this.#subscribing.set(topic, (this.#subscribing.get(topic) ?? 0) + 1);
    }
    try {
      await this.#client.subscribe([...topics], this.#onMessage);
    } catch (error) {
      this.#onFailure('SUBSCRIBE', error);
      throw error;
    } finally {
      this.unsubscribe(topics.filter((topic) => this.#settle(topic)));
    }
  }

  unsubscribe(topics: readonly string[]): void {
    // While a SUBSCRIBE is under way an UNSUBSCRIBE has to wait: the client would forget the subscription, and take
    // a topic that is wanted again for one that is subscribed already.
    const settled = topics.filter((topic) => !this.#subscribing.has(topic));
    for (const topic of topics) if (this.#subscribing.has(topic)) this.#unwanted.add(topic);
    if (settled.length === 0) return;
    // If Redis kept the topic, this node would count as one that never answers, and every broadcast on it as partial.
    this.#client
      .unsubscribe(settled, this.#onMessage)
      .catch((error: unknown) => this.#onFailure('UNSUBSCRIBE', error));
  }

  /** Whether the topic is to be unsubscribed, now that its `SUBSCRIBE` has been answered. */
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
