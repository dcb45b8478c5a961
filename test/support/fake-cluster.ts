import { channelTopicsOf } from '../../src/broker/bus.ts';
import type { MemoryHistory } from '../../src/broker/history-memory.ts';
import { ClusterBus } from '../../src/cluster/cluster-bus.ts';
import { TopicRouter } from '../../src/cluster/topic-router.ts';

/** The bus of a cluster, with the event loop between worker and primary in place of processes. */
export class FakeCluster {
  readonly #hasHistory: boolean;
  readonly #topics: TopicRouter<ClusterBus>;

  /** `history` is what the primary keeps; undefined keeps nothing. */
  constructor(history?: MemoryHistory) {
    this.#hasHistory = history !== undefined;
    this.#topics = new TopicRouter<ClusterBus>(
      (bus, message) => setImmediate(() => bus.receive(message)),
      history && { history, channelTopics: channelTopicsOf('bifrost:') },
    );
  }

  join(): ClusterBus {
    const bus: ClusterBus = new ClusterBus(this.#hasHistory, (message) => {
      setImmediate(() => this.#topics.receive(bus, message));
    });
    return bus;
  }

  /** Tells all workers the position of now, as the primary does every few seconds. */
  tick(): void {
    this.#topics.tick();
  }
}
