import { setTimeout as sleep } from 'node:timers/promises';
import type { Command, Competitor } from './competitors.ts';
import type { BroadcastFigures, ConnectionFigures, Figures } from './figures.ts';
import type { BroadcastScenario, Counts, Scenario } from './scenarios.ts';
import { SubscriberGroup } from './subscriber-group.ts';
import { type Testbed, withTestbed } from './testbed.ts';

/** The server's memory is read this long after the last connection, when most of what is temporary has been freed. */
export const SETTLE_MS = 500;

async function measureBroadcasts(
  testbed: Testbed,
  { subscribers, pace }: BroadcastScenario,
  counts: Counts,
): Promise<BroadcastFigures> {
  // A fixed rate would warm the server up no better, only more slowly.
  const warmUpPace = 'inFlight' in pace ? pace : { inFlight: 1 };
  const group = await SubscriberGroup.createWarm(
    testbed,
    { subscribers, pace: warmUpPace },
    counts,
  );
  return group.broadcast(counts.measured, pace);
}

/** Opens connections that stay: counts are connections. */
export async function measureConnections(
  { protocol, ports, readUsage, callSubscribers }: Testbed,
  { warmUp, measured, speed = 1 }: Counts,
): Promise<ConnectionFigures> {
  await callSubscribers('connect', { ports, protocol, count: warmUp });
  await sleep(SETTLE_MS / speed);

  const before = readUsage();
  const start = performance.now();
  await callSubscribers('connect', { ports, protocol, count: measured });
  const seconds = (performance.now() - start) / 1_000;
  await sleep(SETTLE_MS / speed);
  const after = readUsage();
  // Rejects when a connection was lost meanwhile.
  await callSubscribers('expect', 0);

  return {
    cpuUsPerConnection: ((after.cpuSeconds - before.cpuSeconds) * 1e6) / measured,
    connectionsPerSecond: measured / seconds,
    rssBytesPerConnection: (after.rssBytes - before.rssBytes) / measured,
  };
}

/** One run against a new server. Rejects when an answer is wrong or a single delivery is missing. */
export function measureScenario(
  competitor: Competitor,
  command: Command,
  scenario: Scenario,
  counts: Counts,
): Promise<Figures> {
  const title = `${competitor.title}, ${scenario.title}`;
  const { protocol } = competitor;
  return withTestbed<Figures>({ title, protocol, command }, (testbed) =>
    scenario.kind === 'broadcast'
      ? measureBroadcasts(testbed, scenario, counts)
      : measureConnections(testbed, counts),
  );
}
