import { describe } from 'vitest';
import { MemoryHistory } from '../../src/broker/history-memory.ts';
import { behavesAsBroker, isHealthy } from '../support/broker-suite.ts';
import { FakeCluster } from '../support/fake-cluster.ts';
import { startServer, type TestServer } from '../support/server.ts';

async function startNodes(cluster: FakeCluster): Promise<readonly TestServer[]> {
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
  behavesAsBroker(() => startNodes(new FakeCluster()));
});

describe('the broker of many nodes on the bus of a cluster that keeps messages', () => {
  const limits = { historyMessages: 100, historyMs: 300_000, historyBytes: 67_108_864 };
  behavesAsBroker(() => startNodes(new FakeCluster(new MemoryHistory(limits))));
});
