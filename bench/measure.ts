import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkAnswers } from './check.ts';
import { type Usage, usageOf } from './cpu.ts';
import {
  type BroadcastFigures,
  type ConnectionFigures,
  type Figures,
  quantile,
} from './figures.ts';
import type { Peer } from './peers.ts';
import {
  type Command,
  kill,
  type ServerProcess,
  spawnLoadGenerator,
  spawnServer,
} from './processes.ts';
import type { Pace, PublisherCalls } from './publisher.ts';
import type { Ask } from './rpc.ts';
import type { BroadcastScenario, Counts, Scenario } from './scenarios.ts';
import type { SubscriberCalls } from './subscribers.ts';
import { SECRET } from './token.ts';

const CHANNEL = 'bench';
/** For a server to answer its first request. */
const START_MS = 10_000;
/** Between the last connection and the reading of the memory. */
const SETTLE_MS = 1_500;

/** A port that is free now. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' ? (address?.port ?? 0) : 0));
    });
  });
}

/** Resolves when the server answers requests. */
async function untilReady({ child }: ServerProcess, port: number): Promise<void> {
  const deadline = performance.now() + START_MS;
  for (;;) {
    try {
      await (await fetch(`http://127.0.0.1:${port}/info.json`)).arrayBuffer();
      return;
    } catch {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error('It did not start');
      if (performance.now() > deadline) throw new Error(`No answer within ${START_MS} ms`);
      await sleep(20);
    }
  }
}

/** What both kinds of measurement need. */
interface Job {
  readonly peer: Peer;
  readonly port: number;
  readonly counts: Counts;
  /** Of the server, until now. */
  usage(): Usage;
  readonly subscribers: Ask<SubscriberCalls>;
  readonly publisher: Ask<PublisherCalls>;
}

async function measureBroadcasts(job: Job, scenario: BroadcastScenario): Promise<BroadcastFigures> {
  const { peer, port, counts, usage, subscribers, publisher } = job;
  const { pace } = scenario;
  const count = scenario.subscribers;
  const arrivalsPort = await publisher('prepare', {
    port,
    channel: CHANNEL,
    broadcasts: counts.warmUp + counts.measured,
    subscribers: count,
  });
  await subscribers('connect', { port, dialect: peer.dialect, count, channel: CHANNEL });
  await subscribers('announce', arrivalsPort);

  const broadcast = async (broadcasts: number, atPace: Pace) => {
    await subscribers('expect', broadcasts);
    const before = usage();
    // Both at once: the publisher would wait for ever for what the subscribers know to be lost.
    const [postedAtNs, deliveries] = await Promise.all([
      publisher('post', { broadcasts, pace: atPace }),
      subscribers('delivered', undefined),
    ]);
    const after = usage();
    // Nothing may have come twice either.
    await subscribers('expect', 0);
    return { before, after, postedAtNs, ...deliveries };
  };

  // A fixed rate would warm the server up no better, only slower.
  await broadcast(counts.warmUp, 'inFlight' in pace ? pace : { inFlight: 1 });
  const { before, after, postedAtNs, frames, reads, completedAtNs } = await broadcast(
    counts.measured,
    pace,
  );

  const seconds = ((completedAtNs.at(-1) ?? 0) - (postedAtNs[0] ?? 0)) / 1e9;
  const latenciesMs = Array.from(completedAtNs, (at, i) => (at - (postedAtNs[i] ?? 0)) / 1e6);
  latenciesMs.sort((a, b) => a - b);
  return {
    cpuUsPerDelivery: ((after.cpuSeconds - before.cpuSeconds) * 1e6) / frames,
    deliveriesPerSecond: frames / seconds,
    broadcastsPerSecond: counts.measured / seconds,
    framesPerRead: frames / reads,
    p50Ms: quantile(latenciesMs, 0.5),
    p99Ms: quantile(latenciesMs, 0.99),
    rssBytes: after.rssBytes,
  };
}

async function measureConnections({ peer, port, counts, usage, subscribers }: Job) {
  const { dialect } = peer;
  await subscribers('connect', { port, dialect, count: counts.warmUp });
  await sleep(SETTLE_MS);

  const before = usage();
  const start = performance.now();
  await subscribers('connect', { port, dialect, count: counts.measured });
  const seconds = (performance.now() - start) / 1_000;
  await sleep(SETTLE_MS);
  const after = usage();
  // Nobody may have been lost meanwhile.
  await subscribers('expect', 0);

  return {
    cpuUsPerConnection: ((after.cpuSeconds - before.cpuSeconds) * 1e6) / counts.measured,
    connectionsPerSecond: counts.measured / seconds,
    rssBytesPerConnection: (after.rssBytes - before.rssBytes) / counts.measured,
  } satisfies ConnectionFigures;
}

/** One run against a fresh server. Rejects when an answer is wrong or a single delivery is missing. */
export async function measure(
  peer: Peer,
  command: Command,
  scenario: Scenario,
  counts: Counts,
): Promise<Figures> {
  const port = await freePort();
  const server = spawnServer(command, {
    PORT: String(port),
    HOST: '127.0.0.1',
    JWT_SECRET: SECRET,
    NODE_ENV: 'production',
  });
  const subscribers = spawnLoadGenerator<SubscriberCalls>('./subscribers.ts');
  const publisher = spawnLoadGenerator<PublisherCalls>('./publisher.ts');
  const job: Job = {
    peer,
    port,
    counts,
    usage: () => usageOf(server.pid),
    subscribers: subscribers.ask,
    publisher: publisher.ask,
  };
  try {
    await untilReady(server, port);
    await checkAnswers(peer, port);
    return scenario.kind === 'broadcast'
      ? await measureBroadcasts(job, scenario)
      : await measureConnections(job);
  } catch (error) {
    const complaint = server.complaint();
    throw new Error(
      `${peer.title}, ${scenario.title}: ${(error as Error).message}${complaint && `\n${complaint}`}`,
      { cause: error },
    );
  } finally {
    await Promise.all([server, subscribers, publisher].map(({ child }) => kill(child)));
  }
}
