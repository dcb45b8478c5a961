// `npm run torture -- --nodes 3`: kills nodes and their Redis at random while another program publishes garbage on their
// topics. No subscriber may miss a broadcast that was answered 200, receive one twice, or receive them out of order.
import { setTimeout as delay } from 'node:timers/promises';
import { type CallChild, type RpcChild, startRpcChild } from '../support/child-rpc.ts';
import { freePort } from '../support/free-port.ts';
import { Progress, printLine } from '../support/progress.ts';
import { RedisServer } from '../support/redis.ts';
import { CLIENTS, EVERYONE, GROUPS, group, subscribersOf } from './nodes-channels.ts';
import { FaultInjector } from './nodes-faults.ts';
import { GarbagePublisher } from './nodes-garbage.ts';
import { historySteps, tortureHistory } from './nodes-history.ts';
import type { NodeEvent, Posted } from './nodes-oracle.ts';
import { NodeProcess } from './nodes-process.ts';
import { NodesPublishers } from './nodes-publishers.ts';
import type { SubscriberProcedures } from './nodes-subscriber-process.ts';
import { judgeRun } from './nodes-verdicts.ts';
import { Verdicts } from './verdicts.ts';

const SUBSCRIBER_PROCESSES = 2;
const FAULTS_MS = 120_000;
const QUICK_FAULTS_MS = 13_000;
/** To start nodes and subscribers, and to judge at the end, about. */
const AROUND_SECONDS = 12;
const WAIT_TIMEOUT_MS = 30_000;
const POLL_INTERVAL_MS = 50;
/** Through each node, when no faults are injected any more. */
const FINAL_BROADCASTS = 10;

export interface NodesOptions {
  readonly nodes: number;
  /** About a minute instead of several. */
  readonly quick: boolean;
  readonly seed: number;
}

/** Resolves to the verdicts of the run, which have been printed. */
export async function tortureNodes(options: NodesOptions): Promise<Verdicts> {
  printLine(`seed ${options.seed}`);
  const startedAt = performance.now();
  const faultsMs = options.quick ? QUICK_FAULTS_MS : FAULTS_MS;
  const progress = new Progress([
    { title: 'nodes and Redis are killed', seconds: faultsMs / 1_000 + AROUND_SECONDS },
    ...historySteps(options.quick),
  ]);
  progress.next();
  const losses: NodeEvent[] = [];
  // Kept on disk before anything is answered, so that a Redis that is started again knows what it has delivered.
  const redis = new RedisServer(await freePort(), [
    '--appendonly',
    'yes',
    '--appendfsync',
    'always',
  ]);
  const nodes: NodeProcess[] = [];
  for (let index = 0; index < options.nodes; index += 1) {
    nodes.push(new NodeProcess(index, await freePort(), redis.url, losses));
  }
  const run = new NodesTorture(options, redis, nodes, losses);
  try {
    await run.run();
    printLine(`${((performance.now() - startedAt) / 1_000).toFixed(1)} s`);
    run.close();
    await tortureHistory(options, run.verdicts, progress);
  } finally {
    run.close();
    progress.end();
  }
  return run.verdicts;
}

class NodesTorture {
  readonly verdicts = new Verdicts();
  readonly #options: NodesOptions;
  readonly #redis: RedisServer;
  readonly #nodes: readonly NodeProcess[];
  readonly #losses: NodeEvent[];
  // Seeds of their own: the faults must not depend on how fast the publishers are.
  readonly #faults: FaultInjector;
  readonly #publishers: NodesPublishers;
  readonly #garbage: GarbagePublisher;
  readonly #subscribers: RpcChild<SubscriberProcedures>[] = [];

  constructor(
    options: NodesOptions,
    redis: RedisServer,
    nodes: readonly NodeProcess[],
    losses: NodeEvent[],
  ) {
    this.#options = options;
    this.#redis = redis;
    this.#nodes = nodes;
    this.#losses = losses;
    this.#faults = new FaultInjector(nodes, redis, options.seed);
    this.#publishers = new NodesPublishers(nodes, options.seed + 1);
    this.#garbage = new GarbagePublisher(redis, options.seed + 2);
  }

  async run(): Promise<void> {
    await this.#redis.start();
    for (const node of this.#nodes) node.start();
    await this.#until('the nodes are ready', () => this.#areHealthy());
    await this.#connectSubscribers();

    this.#garbage.start();
    this.#publishers.start();
    await this.#faults.run(this.#options.quick ? QUICK_FAULTS_MS : FAULTS_MS);
    await this.#publishers.stop();

    await this.#until('all nodes are ready again', () => this.#areHealthy());
    await this.#until('all clients are subscribed again', () => this.#areSubscribed());
    await this.#until('every node has dropped garbage', async () =>
      (await Promise.all(this.#nodes.map((node) => node.droppedTexts()))).every((n) => n > 0),
    );
    await this.#checkFinalBroadcasts();
    await this.#garbage.stop();
    await this.#judge();
    await this.#stopNodes();
  }

  /** Safe to call at any time, also when `run` has failed. */
  close(): void {
    for (const { child } of this.#subscribers) child.disconnect();
    for (const node of this.#nodes) void node.kill('SIGKILL');
    this.#redis.close();
    this.#publishers.close();
  }

  async #connectSubscribers(): Promise<void> {
    const ports = this.#nodes.map(({ port }) => port);
    const share = CLIENTS / SUBSCRIBER_PROCESSES;
    for (let from = 0; from < CLIENTS; from += share) {
      const file = new URL('./nodes-subscriber-process.ts', import.meta.url);
      const subscribers = startRpcChild<SubscriberProcedures>(file);
      this.#subscribers.push(subscribers);
      await subscribers.call('connect', { ports, from, to: from + share });
    }
    await this.#until(`${CLIENTS} clients are subscribed`, () => this.#areSubscribed());
  }

  /** Without faults, every broadcast must be answered with all of its subscribers. */
  async #checkFinalBroadcasts(): Promise<void> {
    for (let n = 0; n < FINAL_BROADCASTS; n += 1) {
      for (const node of this.#nodes) await this.#publishers.post(node, group(n % GROUPS));
    }
    await this.#publishers.postBatch([
      EVERYONE,
      ...Array.from({ length: GROUPS }, (_, n) => group(n)),
    ]);
    for (const node of this.#nodes) await this.#publishers.post(node, EVERYONE);
    const singles = (FINAL_BROADCASTS + 1) * this.#nodes.length;
    const last = this.#publishers.posted.slice(-(singles + 1 + GROUPS));
    const isExact = ({ answer, channel, deliveries }: Posted) =>
      answer === 'success' && deliveries === subscribersOf(channel);
    this.verdicts.add(
      last.every(isExact),
      'after the faults every broadcast reaches all subscribers',
      last.filter((posted) => !isExact(posted)).map((posted) => JSON.stringify(posted)),
    );
    const { lastSequence } = this.#publishers;
    await this.#until('the last broadcast has arrived', async () =>
      (await this.#callAll((call) => call('haveReceived', lastSequence))).every(Boolean),
    );
  }

  async #judge(): Promise<void> {
    const history = {
      posted: this.#publishers.posted,
      kills: this.#faults.nodeKills,
      losses: this.#losses.toSorted((one, other) => one.at - other.at),
    };
    judgeRun(
      {
        nodeCount: this.#nodes.length,
        history,
        redisKills: this.#faults.redisKills,
        batches: this.#publishers.batches,
        garbageTexts: this.#garbage.received,
        verdicts: await this.#callAll((call) => call('checkSessions', history)),
      },
      this.verdicts,
    );
  }

  async #stopNodes(): Promise<void> {
    const codes = await Promise.all(this.#nodes.map((node) => node.kill('SIGTERM')));
    const isClean = codes.every((code) => code === 0);
    this.verdicts.add(isClean, `SIGTERM ends the nodes with ${codes.join(', ')}`);
    const stderr = this.#nodes.map((node) => node.stderr).join('');
    this.verdicts.add(stderr === '', 'no node wrote to stderr', stderr === '' ? [] : [stderr]);
  }

  async #until(what: string, isSo: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + WAIT_TIMEOUT_MS;
    while (!(await isSo())) {
      if (performance.now() > deadline) {
        const stderr = this.#nodes.map((node) => node.stderr).join('');
        throw new Error(`Waited in vain until ${what}. ${stderr}`);
      }
      await delay(POLL_INTERVAL_MS);
    }
  }

  async #areHealthy(): Promise<boolean> {
    return (await Promise.all(this.#nodes.map((node) => node.isHealthy()))).every(Boolean);
  }

  async #areSubscribed(): Promise<boolean> {
    const counts = await this.#callAll((call) => call('countSubscribed', undefined));
    return counts.reduce((sum, count) => sum + count, 0) === CLIENTS;
  }

  #callAll<T>(task: (call: CallChild<SubscriberProcedures>) => Promise<T>): Promise<T[]> {
    return Promise.all(this.#subscribers.map(({ call }) => task(call)));
  }
}
