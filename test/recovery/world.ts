import { pino } from 'pino';
import type { Broker } from '../../src/broker/broker.ts';
import type { MemoryHistoryOptions } from '../../src/broker/history-memory.ts';
import type { ClusterBus } from '../../src/cluster/cluster-bus.ts';
import { loadConfig } from '../../src/config/config.ts';
import type { Subscriber } from '../../src/hub/hub.ts';
import { createParts, type Parts } from '../../src/parts.ts';
import type { PublicationBatch } from '../../src/protocol/publishing.ts';
import { FakeCluster } from '../support/fake-cluster.ts';
import { SECRET } from '../support/tokens.ts';
import { Oracle, WatchedHistory } from './oracle.ts';
import { SimulatedConnection } from './simulated-connection.ts';

export interface WorldOptions extends MemoryHistoryOptions {
  /** One is a process by itself; more are the workers of a cluster. */
  readonly nodes: number;
  readonly maxBufferedBytes: number;
}

interface Node {
  readonly parts: Parts;
  readonly bus: ClusterBus | undefined;
}

const silent = pino({ level: 'silent' });
// A drain that leaves connections open for long after their loss.
const CONFIG = loadConfig({ JWT_SECRET: SECRET, DRAIN_SECONDS: '10', AUTH_TIMEOUT_SECONDS: '0' });

/** A server of one or several nodes in one process, without sockets, with a clock of its own. */
export class World {
  readonly oracle: Oracle;
  readonly #options: WorldOptions;
  /** In microseconds. */
  #now = 1_700_000_000_000_000;
  #history: WatchedHistory;
  #cluster: FakeCluster | undefined;
  #nodes: readonly Node[] = [];
  readonly #connections = new WeakMap<Subscriber, SimulatedConnection>();

  constructor(options: WorldOptions) {
    this.#options = options;
    this.oracle = new Oracle(options);
    this.#history = this.#createHistory();
    this.#start();
  }

  /** All that was kept is gone, and every connection too. */
  crash(): void {
    this.#history.end();
    this.#history = this.#createHistory();
    this.#start();
  }

  advance(ms: number): void {
    this.#now += ms * 1_000;
  }

  /** What a timer of the server does every now and then. */
  tick(): void {
    this.#history.expire();
    this.#cluster?.tick();
  }

  connect(node: number): SimulatedConnection {
    const simulated = new SimulatedConnection(this.#node(node).parts);
    this.#connections.set(simulated.connection, simulated);
    return simulated;
  }

  publish(node: number, batch: PublicationBatch, isBatch: boolean): void {
    const { broker } = this.#node(node).parts;
    // A broadcast that is refused was not handed to anybody, or the oracle knows that it was.
    const ignore = () => {};
    const [first] = batch.publications;
    if (isBatch) broker.publishBatch(batch).catch(ignore);
    else if (first !== undefined) Promise.resolve(broker.publish(first)).catch(ignore);
  }

  /** The first process hangs, as far as this node can tell. */
  lose(node: number): void {
    this.#node(node).bus?.lose();
  }

  regain(node: number): void {
    this.#node(node).bus?.regain();
  }

  #node(index: number): Node {
    return this.#nodes[index % this.#nodes.length] as Node;
  }

  #createHistory(): WatchedHistory {
    return new WatchedHistory(this.#options, () => this.#now, this.oracle);
  }

  #start(): void {
    const { nodes, maxBufferedBytes } = this.#options;
    const config = { ...CONFIG, maxBufferedBytes };
    const cluster = nodes > 1 ? new FakeCluster(this.#history) : undefined;
    this.#cluster = cluster;
    this.#nodes = Array.from({ length: nodes }, () => {
      const bus = cluster?.join();
      const parts = createParts(config, silent, { bus, history: this.#history });
      this.#watch(parts.broker);
      return { bus, parts };
    });
  }

  /** What is answered is the truth that the client's bytes are compared with. */
  #watch(broker: Broker): void {
    const recover = broker.recover.bind(broker);
    broker.recover = (subscriber, request, onRecovered) => {
      recover(subscriber, request, (recovery) => {
        if (recovery !== undefined) {
          this.#connections.get(subscriber)?.answers.push({ request, recovery });
        }
        onRecovered(recovery);
      });
    };
  }
}
