import { setTimeout as delay } from 'node:timers/promises';
import { Random } from '../support/random.ts';
import type { RedisServer } from '../support/redis.ts';
import type { NodeEvent } from './nodes-oracle.ts';
import type { NodeProcess } from './nodes-process.ts';

/** From one kill to the next, and from a kill to the start after it. */
const KILL_INTERVAL_MS = [1_000, 5_000] as const;
const DOWNTIME_MS = [0, 2_000] as const;

/** Kills nodes and Redis at random moments and starts them again. */
export class FaultInjector {
  readonly nodeKills: NodeEvent[] = [];
  redisKills = 0;
  readonly #nodes: readonly NodeProcess[];
  readonly #redis: RedisServer;
  readonly #random: Random;
  #isRedisRunning = true;

  constructor(nodes: readonly NodeProcess[], redis: RedisServer, seed: number) {
    this.#nodes = nodes;
    this.#redis = redis;
    this.#random = new Random(seed);
  }

  /** Resolves when everything that was killed has been started again. One node at least runs all the time. */
  async run(durationMs: number): Promise<void> {
    const end = performance.now() + durationMs;
    const restarts: Promise<void>[] = [];
    for (let kills = 1; performance.now() < end; kills += 1) {
      await delay(Math.min(this.#between(KILL_INTERVAL_MS), Math.max(0, end - performance.now())));
      // The first two kills are one of each kind, whatever the seed.
      const choice = kills === 1 ? 0 : kills === 2 ? 1 : this.#random.fraction();
      if (choice < 0.6) restarts.push(this.#restartNode());
      if (choice > 0.5) restarts.push(this.#restartRedis());
    }
    await Promise.all(restarts);
  }

  async #restartNode(): Promise<void> {
    const running = this.#nodes.filter(({ isRunning }) => isRunning);
    const node = this.#random.pick(running);
    if (running.length < 2) return;
    const downtimeMs = this.#between(DOWNTIME_MS);
    this.nodeKills.push({ node: this.#nodes.indexOf(node), at: Date.now() });
    await node.kill('SIGKILL');
    await delay(downtimeMs);
    node.start();
  }

  async #restartRedis(): Promise<void> {
    if (!this.#isRedisRunning) return;
    this.#isRedisRunning = false;
    const downtimeMs = this.#between(DOWNTIME_MS);
    this.redisKills += 1;
    await this.#redis.kill('SIGKILL');
    await delay(downtimeMs);
    await this.#redis.start();
    this.#isRedisRunning = true;
  }

  #between([min, max]: readonly [number, number]): number {
    return min + this.#random.fraction() * (max - min);
  }
}
