import { channelTopicsOf } from '../../src/broker/bus.ts';
import type { MemoryHistory } from '../../src/broker/history-memory.ts';
import { ClusterBus } from '../../src/cluster/cluster-bus.ts';
import { MessageBatcher } from '../../src/cluster/message-batcher.ts';
import type { ToPrimary, ToWorker } from '../../src/cluster/topic-messages.ts';
import { TopicRouter } from '../../src/cluster/topic-router.ts';

/** A worker, seen from the primary. */
interface Worker {
  readonly batcher: MessageBatcher<ToWorker>;
}

/** The bus of a cluster. As between processes, what is said in one turn of the event loop arrives together. */
export class FakeCluster {
  readonly #hasHistory: boolean;
  readonly #topics: TopicRouter<Worker>;

  /** `history` is what the primary keeps; undefined keeps nothing. */
  constructor(history?: MemoryHistory) {
    this.#hasHistory = history !== undefined;
    this.#topics = new TopicRouter<Worker>(
      ({ batcher }, message) => batcher.add(message),
      history && { history, channelTopics: channelTopicsOf('bifrost:') },
    );
  }

  join(): ClusterBus {
    const toPrimary = new MessageBatcher<ToPrimary>(({ messages }) => {
      for (const message of messages) this.#topics.receive(worker, message);
    });
    const bus = new ClusterBus(this.#hasHistory, (message) => toPrimary.add(message));
    const batcher = new MessageBatcher<ToWorker>(({ messages }) => {
      for (const message of messages) bus.receive(message);
    });
    const worker: Worker = { batcher };
    return bus;
  }

  /** Tells all workers the position of now, as the primary does every few seconds. */
  tick(): void {
    this.#topics.tick();
  }
}
