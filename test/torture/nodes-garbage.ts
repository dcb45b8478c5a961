import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { createClient } from 'redis';
import { Random } from '../support/random.ts';
import type { RedisServer } from '../support/redis.ts';

const PREFIX = 'bifrost:';
const PAUSE_MS = 20;
/** Texts between two pauses, each to a topic that a node is subscribed to. */
const TEXTS_PER_ROUND = 5;

/**
 * Another program that publishes under the prefix of the nodes: on the topics of channels, of single nodes and of all
 * nodes. None of its texts has the form of a node's, so nodes must drop them all.
 */
export class GarbagePublisher {
  readonly #redis: RedisServer;
  readonly #random: Random;
  #isOver = false;
  #running: Promise<void> | undefined;
  #received = 0;

  constructor(redis: RedisServer, seed: number) {
    this.#redis = redis;
    this.#random = new Random(seed);
  }

  /** How many texts Redis has handed to a node. */
  get received(): number {
    return this.#received;
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Resolves when the last text has been published. */
  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#running;
  }

  /** Reconnects whenever Redis has been started again. */
  async #run(): Promise<void> {
    while (!this.#isOver) {
      const client = createClient({
        url: this.#redis.url,
        disableOfflineQueue: true,
        socket: { reconnectStrategy: false },
      }).on('error', () => {});
      try {
        await client.connect();
        while (!this.#isOver) {
          const topics = await client.pubSubChannels(`${PREFIX}*`);
          for (let n = 0; n < TEXTS_PER_ROUND && topics.length > 0; n += 1) {
            this.#received += await client.publish(this.#random.pick(topics), this.#text());
          }
          await delay(PAUSE_MS);
        }
      } catch {
        // Redis was killed.
        await delay(PAUSE_MS);
      } finally {
        client.destroy();
      }
    }
  }

  /** Texts that resemble those of nodes. */
  #text(): string {
    const random = this.#random;
    const id = random.below(1_000);
    const message = `{"sequence":${random.below(1_000)}}`;
    return random.pick([
      '',
      ' ',
      'hello',
      message,
      `${id} NaN`,
      `${id} -1`,
      `${id} 1e3`,
      `${id} `,
      `${id} 1 2 3`,
      `${id} Infinity 1`,
      ` ${id} 1`,
      `x ${id} ${message}`,
      `${randomUUID()} NaN ${message}`,
      `${randomUUID()} ${id}`.toUpperCase(),
      `${randomUUID()} ${id} `,
      `${randomUUID()} ${id} hello`,
      `${randomUUID()} ${id} [${message}]`,
      `${randomUUID()} ${id} ${message.slice(0, -1)}`,
      `${randomUUID().slice(1)} ${id} ${message}`,
      random.bytes(random.below(200)).toString('latin1'),
    ]);
  }
}
