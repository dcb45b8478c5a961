import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Figures } from '../figures.ts';
import { checkRecovered, runReconnecting } from '../reconnecting-run.ts';
import { ReplaceableServer } from '../replaceable-server.ts';
import type { Counts } from '../scenarios.ts';
import { redisVersion, withTemporaryRedis } from '../temporary-redis.ts';
import { bifrostSetup, trial } from './trial.ts';

const NODES = 3;
const RESTARTS = 2;
/** Before, between and after the replacements. */
const REST_MS = 5_000;
const DRAIN_SECONDS = 5;
const INTERVAL_MS = 100;
const RETRY_MS = 1_000;
const HISTORY_MESSAGES = '1000';

interface Deploy {
  readonly title: string;
  /** How many servers are replaced, one after the other and then from the first one again. */
  readonly replacements: number;
  readonly nodes: number;
  readonly env: Readonly<Record<string, string>>;
}

/** How many messages are posted during the replacements and the rests between them. */
function countMessages(replacements: number): number {
  return (replacements * (DRAIN_SECONDS * 1_000 + REST_MS) + REST_MS) / INTERVAL_MS;
}

async function startServers(
  { title, nodes, env }: Deploy,
  speed: number,
): Promise<readonly ReplaceableServer[]> {
  const setup = bifrostSetup(title, {
    core: 'any',
    env: { ...env, HISTORY_MESSAGES, DRAIN_SECONDS: String(DRAIN_SECONDS / speed) },
  });
  return Promise.all(Array.from({ length: nodes }, () => ReplaceableServer.start(setup)));
}

async function measure(deploy: Deploy, { measured, speed = 1 }: Counts): Promise<Figures> {
  const servers = await startServers(deploy, speed);
  try {
    const { positioned, plain } = await runReconnecting({
      clients: [
        ['positioned', measured / 2],
        ['plain', measured / 2],
      ],
      ports: servers.map(({ port }) => port),
      messages: countMessages(deploy.replacements),
      intervalMs: INTERVAL_MS / speed,
      retryMs: RETRY_MS / speed,
      async disturb() {
        for (let number = 0; number < deploy.replacements; number++) {
          await sleep(REST_MS / speed);
          await servers[number % servers.length]?.replace();
        }
      },
    });
    checkRecovered(deploy.title, positioned);
    return { ...positioned, plainReceivedPercent: plain.receivedPercent };
  } finally {
    await Promise.all(servers.map((server) => server.kill()));
  }
}

const COMMON = {
  fullSeconds: 60,
  full: { warmUp: 0, measured: 2_000 },
  quick: { warmUp: 0, measured: 200, speed: 10 },
  maxConnections: ({ measured }: Counts) => measured,
  isMeasuredOnce: true,
  mostlyWaits: true,
  rows: [
    { title: 'received by positioned clients, %', figure: 'receivedPercent' },
    { title: 'received by plain clients, %', figure: 'plainReceivedPercent' },
  ],
} as const;

/** One process that is updated keeps what was said. */
export const restartTrial = trial('restart', 'one process, restarted twice', {
  ...COMMON,
  variants: [
    {
      name: 'file',
      title: 'HISTORY_FILE',
      async measure(counts) {
        const folder = mkdtempSync(join(tmpdir(), 'bifrost-bench-'));
        try {
          const env = { HISTORY_FILE: join(folder, 'history') };
          const title = 'One process, restarted';
          return await measure({ title, replacements: RESTARTS, nodes: 1, env }, counts);
        } finally {
          rmSync(folder, { recursive: true });
        }
      },
    },
  ],
  note: 'ten broadcasts a second go on, and are posted again until they are answered. A run in which a positioned client misses one fails.',
});

/** Nodes that are updated one by one. */
export const rollingTrial = trial('rolling', 'three nodes and Redis, replaced one by one', {
  ...COMMON,
  missingRequirement: () => (redisVersion === undefined ? 'redis-server' : undefined),
  variants: [
    {
      name: 'redis',
      title: 'HISTORY=redis',
      measure: (counts) =>
        withTemporaryRedis((url) =>
          measure(
            {
              title: 'Three nodes, replaced one by one',
              replacements: NODES,
              nodes: NODES,
              env: { REDIS_URL: url, HISTORY: 'redis' },
            },
            counts,
          ),
        ),
    },
  ],
  note: 'clients come back to any node. A run in which a positioned client misses a message, or gets one twice or out of order, fails.',
});
