import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkAnswers } from './check.ts';
import { type Usage, usageOf } from './cpu.ts';
import type { DialectName } from './dialects.ts';
import {
  type Command,
  type Core,
  kill,
  type ServerProcess,
  spawnLoadGenerator,
  spawnServer,
} from './processes.ts';
import type { PublisherCalls } from './publisher.ts';
import type { Ask } from './rpc.ts';
import type { SubscriberCalls } from './subscribers.ts';
import { SECRET } from './token.ts';

/** For a server to be ready. */
const START_MS = 10_000;

/** As in production, with all that this server can observe; the others do not know these. */
const OBSERVED = { NODE_ENV: 'production', METRICS: 'true', LOG_LEVEL: 'info' } as const;

/** What is measured: a server, or several of a kind that act as one. */
export interface Setup {
  /** For people. */
  readonly title: string;
  readonly dialect: DialectName;
  /** It reads PORT, HOST and JWT_SECRET. */
  readonly command: Command;
  /** What else it reads; what makes several servers one is in here. */
  readonly env?: Readonly<Record<string, string>>;
  /** 1 unless said otherwise. */
  readonly servers?: number;
  /** Theirs unless said otherwise. */
  readonly core?: Core;
}

/** Servers that are ready, and load generators that have nothing to do yet: for one run. */
export interface Stage {
  readonly dialect: DialectName;
  readonly servers: readonly ServerProcess[];
  /** Of the servers, in their order. */
  readonly ports: readonly number[];
  /** Of all servers together, until now. */
  usage(): Usage;
  readonly subscribers: Ask<SubscriberCalls>;
  readonly publisher: Ask<PublisherCalls>;
}

/** A port that is free now. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' ? (address?.port ?? 0) : 0));
    });
  });
}

/** Resolves when the server answers requests, and does not say that it waits for something. */
async function untilReady({ child }: ServerProcess, port: number): Promise<void> {
  const deadline = performance.now() + START_MS;
  for (;;) {
    try {
      const response = await fetch(`http://127.0.0.1:${port}/healthz`);
      await response.arrayBuffer();
      // Those that know no such path say 404.
      if (response.status !== 503) return;
    } catch {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error('It did not start');
    }
    if (performance.now() > deadline) throw new Error(`Not ready within ${START_MS} ms`);
    await sleep(20);
  }
}

function addUsage(a: Usage, b: Usage): Usage {
  return { cpuSeconds: a.cpuSeconds + b.cpuSeconds, rssBytes: a.rssBytes + b.rssBytes };
}

/**
 * One run against fresh servers, whose answers are checked before `work` begins. Rejects when one is wrong, or when
 * `work` does; nothing that was started is left behind.
 */
export async function onStage<T>(setup: Setup, work: (stage: Stage) => Promise<T>): Promise<T> {
  const { title, dialect, command, env, servers: count = 1, core } = setup;
  const ports = await Promise.all(Array.from({ length: count }, freePort));
  const servers = ports.map((port) => {
    const common = { PORT: `${port}`, HOST: '127.0.0.1', JWT_SECRET: SECRET };
    return spawnServer(command, { ...common, ...OBSERVED, ...env }, core);
  });
  const subscribers = spawnLoadGenerator<SubscriberCalls>('./subscribers.ts');
  const publisher = spawnLoadGenerator<PublisherCalls>('./publisher.ts');
  try {
    await Promise.all(servers.map((server, i) => untilReady(server, ports[i] ?? 0)));
    for (const [i, port] of ports.entries()) {
      // Around the circle, so that every server is asked and what it has to pass on is too.
      await checkAnswers({ dialect, port, postPort: ports[(i + 1) % count] ?? port });
    }
    return await work({
      dialect,
      servers,
      ports,
      usage: () => servers.map(({ pid }) => usageOf(pid)).reduce(addUsage),
      subscribers: subscribers.ask,
      publisher: publisher.ask,
    });
  } catch (error) {
    const complaint = servers.map((server) => server.complaint()).join('');
    throw new Error(`${title}: ${(error as Error).message}${complaint && `\n${complaint}`}`, {
      cause: error,
    });
  } finally {
    await Promise.all([...servers, subscribers, publisher].map(({ child }) => kill(child)));
  }
}
