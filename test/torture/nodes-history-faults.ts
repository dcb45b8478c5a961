import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../support/free-port.ts';
import type { Random } from '../support/random.ts';
import { RedisServer } from '../support/redis.ts';
import type { NodeProcess } from './nodes-process.ts';
import { RedisRelay } from './redis-relay.ts';

/** From one disturbance of a node to the next. */
const INTERVAL_MS = [300, 1_500] as const;
/** Of them, so many kill it. The others cut it off from Redis. */
const KILLS = 0.3;
/** Before and after each fault of Redis. */
const CALM_MS = 3_000;
const QUICK_CALM_MS = 1_000;
/** How far the replica is behind when it takes over. */
const LAG_MS = 700;
const SYNC_TIMEOUT_MS = 30_000;
const POLL_INTERVAL_MS = 50;
const PERSISTENT = ['--appendonly', 'yes', '--appendfsync', 'always'];

/** A Redis on disk, its replica, and all that befalls them and the nodes that use them. */
export class HistoryFaults {
  nodeKills = 0;
  nodeCuts = 0;
  /** What befell Redis. */
  readonly injected: string[] = [];
  readonly #random: Random;
  readonly #replica: RedisServer;
  readonly #relay: RedisRelay;
  #master: RedisServer;

  private constructor(
    random: Random,
    redis: { master: RedisServer; replica: RedisServer; relay: RedisRelay },
  ) {
    this.#random = random;
    this.#master = redis.master;
    this.#replica = redis.replica;
    this.#relay = redis.relay;
  }

  static async start(random: Random): Promise<HistoryFaults> {
    const diskless = ['--repl-diskless-sync-delay', '0'];
    const master = new RedisServer(await freePort(), [...PERSISTENT, ...diskless]);
    const replica = new RedisServer(await freePort(), PERSISTENT);
    await Promise.all([master.start(), replica.start()]);
    // Before the nodes come: its first replica changes what tells a master from another one.
    await replica.command('REPLICAOF', '127.0.0.1', String(master.port));
    const relay = await RedisRelay.listen(await freePort(), master.port);
    const faults = new HistoryFaults(random, { master, replica, relay });
    await faults.#untilInSync();
    return faults;
  }

  /** Where the nodes find Redis. */
  get url(): string {
    return this.#relay.url;
  }

  close(): void {
    this.#relay.close();
    this.#master.close();
    this.#replica.close();
  }

  /** Kills nodes, and cuts others off from Redis, until the run is over. */
  async disturb(nodes: readonly NodeProcess[], isOver: () => boolean): Promise<void> {
    const [min, max] = INTERVAL_MS;
    while (!isOver()) {
      await delay(min + this.#random.fraction() * (max - min));
      if (isOver()) return;
      if (this.#random.fraction() < KILLS) await this.#killOne(nodes);
      else await this.#cutOneOff();
    }
  }

  /** One fault of Redis after the other, `rounds` times. The failover is the last. */
  async touch(rounds: number, isQuick: boolean): Promise<void> {
    const calmMs = isQuick ? QUICK_CALM_MS : CALM_MS;
    const master = this.#master;
    const faults: Readonly<Record<string, () => Promise<unknown>>> = {
      'killed and started from its append-only file': async () => {
        await master.kill('SIGKILL');
        await delay(this.#random.below(1_000));
        await master.start();
      },
      emptied: () => master.command('FLUSHALL'),
      'without its scripts': () => master.command('SCRIPT', 'FLUSH'),
    };
    for (let round = 0; round < rounds; round += 1) {
      for (const [name, inject] of Object.entries(faults)) {
        await delay(calmMs);
        this.injected.push(name);
        await inject();
        await delay(calmMs);
      }
    }
    await this.#untilInSync();
    this.injected.push('failed over');
    await this.#failOver();
    await delay(2 * calmMs);
  }

  /** As when a replica is promoted that has not received the last messages of its master. */
  async #failOver(): Promise<void> {
    const master = this.#master;
    await this.#replica.command('REPLICAOF', 'NO', 'ONE');
    await delay(LAG_MS);
    this.#relay.leadTo(this.#replica.port);
    await master.kill('SIGKILL');
    master.close();
    this.#master = this.#replica;
  }

  async #killOne(nodes: readonly NodeProcess[]): Promise<void> {
    const running = nodes.filter(({ isRunning }) => isRunning);
    if (running.length < 2) return;
    const node = this.#random.pick(running);
    this.nodeKills += 1;
    await node.kill('SIGKILL');
    node.start();
  }

  async #cutOneOff(): Promise<void> {
    try {
      const list = String(await this.#master.command('CLIENT', 'LIST', 'TYPE', 'pubsub'));
      const ids = Array.from(list.matchAll(/^id=(\d+)/gm), ([, id = '']) => id);
      if (ids.length === 0) return;
      await this.#master.command('CLIENT', 'KILL', 'ID', this.#random.pick(ids));
      this.nodeCuts += 1;
    } catch {
      // Redis has been killed, or the connection was gone already.
    }
  }

  async #untilInSync(): Promise<void> {
    const deadline = performance.now() + SYNC_TIMEOUT_MS;
    for (;;) {
      const info = String(await this.#replica.command('INFO', 'replication'));
      if (info.includes('master_link_status:up')) return;
      if (performance.now() > deadline) throw new Error('The replica is not in sync');
      await delay(POLL_INTERVAL_MS);
    }
  }
}
