import { pino } from 'pino';
import type { Broker } from '../../src/broker/broker.ts';
import { HistoryFile } from '../../src/broker/history-file/history-file.ts';
import type { MemoryHistoryOptions } from '../../src/broker/history-memory.ts';
import type { ClusterBus } from '../../src/cluster/cluster-bus.ts';
import { loadConfig } from '../../src/config/config.ts';
import type { Subscriber } from '../../src/hub/hub.ts';
import { createParts, type Parts } from '../../src/parts.ts';
import { parsePosition } from '../../src/protocol/position.ts';
import type { PublicationBatch } from '../../src/protocol/publishing.ts';
import { FakeCluster } from '../support/fake-cluster.ts';
import { SECRET } from '../support/tokens.ts';
import { Oracle, WatchedHistory } from './oracle.ts';
import { SimulatedConnection } from './simulated-connection.ts';

export interface WorldOptions extends MemoryHistoryOptions {
  /** Whether what is kept survives an orderly restart. */
  readonly hasFile: boolean;
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
  #elapsedMs = 0;
  #history: WatchedHistory;
  #cluster: FakeCluster | undefined;
  #nodes: readonly Node[] = [];
  #file: HistoryFile | undefined;
  readonly #path: string;
  readonly #connections = new WeakMap<Subscriber, SimulatedConnection>();

  /** To be followed by `start`. `path` is that of a file that nobody else uses. */
  constructor(options: WorldOptions, path: string) {
    this.#options = options;
    this.#path = path;
    this.oracle = new Oracle(options);
    this.#history = this.#createHistory();
  }

  /** Changes when what was kept before is not known any more. */
  get epoch(): string | undefined {
    return parsePosition(this.#history.position())?.epoch;
  }

  /** A process begins. Every connection is new. */
  async start(): Promise<void> {
    const { nodes, maxBufferedBytes, hasFile } = this.#options;
    this.#history = this.#createHistory();
    this.#file = hasFile ? new HistoryFile(this.#path, this.#history, silent) : undefined;
    await this.#file?.restore();
    this.#file?.claim();
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

  /** The process is killed: what it was about to hand out reaches nobody. */
  kill(): void {
    this.#history.end();
  }

  /** The process ends, when nothing is under way any more. */
  async stop(): Promise<void> {
    this.#history.end();
    await this.#file?.save();
  }

  advance(ms: number): void {
    this.#elapsedMs += ms;
    this.#now += ms * 1_000;
  }

  /** Somebody sets the clock. A process does not notice it, so this is to be called between two of them. */
  setClock(aheadMs: number): void {
    this.#now += aheadMs * 1_000;
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
    const elapsed = () => this.#elapsedMs;
    return new WatchedHistory(this.#options, () => this.#now, { oracle: this.oracle, elapsed });
  }

  /** What is answered is the truth that the client's bytes are compared with. */
  #watch(broker: Broker): void {
    const recover = broker.recover.bind(broker);
    broker.recover = (subscriber, request, onRecovered) => {
      recover(subscriber, request, (recovery) => {
        if (recovery !== undefined) {
          this.#connections
            .get(subscriber)
            ?.answers.push({ request, recovery, at: this.#elapsedMs });
        }
        onRecovered(recovery);
      });
    };
  }
}
