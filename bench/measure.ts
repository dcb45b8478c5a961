import { setTimeout as sleep } from 'node:timers/promises';
import { createAudience } from './audience.ts';
import type { BroadcastFigures, ConnectionFigures, Figures } from './figures.ts';
import type { Command, Peer } from './peers.ts';
import type { BroadcastScenario, Counts, Scenario } from './scenarios.ts';
import { onStage, type Stage } from './stage.ts';

/** Between the last connection and the reading of the memory. */
export const SETTLE_MS = 500;

async function measureBroadcasts(
  stage: Stage,
  { subscribers, pace }: BroadcastScenario,
  { warmUp, measured }: Counts,
): Promise<BroadcastFigures> {
  const audience = await createAudience(stage, { broadcasts: warmUp + measured });
  await audience.join(subscribers);
  // A fixed rate would warm the server up no better, only slower.
  await audience.broadcast(warmUp, 'inFlight' in pace ? pace : { inFlight: 1 });
  return audience.broadcast(measured, pace);
}

async function measureConnections(stage: Stage, { warmUp, measured }: Counts) {
  const { dialect, ports, usage, subscribers } = stage;
  await subscribers('connect', { ports, dialect, count: warmUp });
  await sleep(SETTLE_MS);

  const before = usage();
  const start = performance.now();
  await subscribers('connect', { ports, dialect, count: measured });
  const seconds = (performance.now() - start) / 1_000;
  await sleep(SETTLE_MS);
  const after = usage();
  // Nobody may have been lost meanwhile.
  await subscribers('expect', 0);

  return {
    cpuUsPerConnection: ((after.cpuSeconds - before.cpuSeconds) * 1e6) / measured,
    connectionsPerSecond: measured / seconds,
    rssBytesPerConnection: (after.rssBytes - before.rssBytes) / measured,
  } satisfies ConnectionFigures;
}

/** One run against a fresh server. Rejects when an answer is wrong or a single delivery is missing. */
export function measure(
  peer: Peer,
  command: Command,
  scenario: Scenario,
  counts: Counts,
): Promise<Figures> {
  const title = `${peer.title}, ${scenario.title}`;
  return onStage<Figures>({ title, dialect: peer.dialect, command }, (stage) =>
    scenario.kind === 'broadcast'
      ? measureBroadcasts(stage, scenario, counts)
      : measureConnections(stage, counts),
  );
}
