import { describe } from 'vitest';
import { ClusterBus } from '../../src/cluster/cluster-bus.ts';
import { TopicRouter } from '../../src/cluster/topic-router.ts';
import { behavesAsBroker, isHealthy } from '../support/broker-suite.ts';
import { startServer, type TestServer } from '../support/server.ts';

/** Nodes on the bus of a cluster, with the event loop between worker and primary in place of processes. */
class FakeCluster {
  readonly #topics = new TopicRouter<ClusterBus>((bus, message) => {
    setImmediate(() => bus.receive(message));
  });

  join(): ClusterBus {
    const bus: ClusterBus = new ClusterBus(false, (message) => {
      setImmediate(() => this.#topics.receive(bus, message));
    });
    return bus;
  }
}

async function startNodes(): Promise<readonly TestServer[]> {
  const cluster = new FakeCluster();
  const nodes = await Promise.all(
    [1, 2, 3].map(() => startServer({}, undefined, { bus: cluster.join() })),
  );
  await Promise.all(nodes.map(isHealthy));
  return nodes;
}

describe('the local broker', () => {
  behavesAsBroker(async () => [await startServer()]);
});

describe('the broker of many nodes on the bus of a cluster', () => {
  behavesAsBroker(startNodes);
});
