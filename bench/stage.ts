import { endChild } from '../test/support/child-cleanup.ts';
import {
  type CallChild,
  type Procedures,
  type RpcChild,
  startRpcChild,
} from '../test/support/child-rpc.ts';
import { freePort } from '../test/support/free-port.ts';
import { ServerProcess } from '../test/support/server-process.ts';
import { SECRET } from '../test/support/tokens.ts';
import { checkAnswers } from './check.ts';
import { type Usage, usageOf } from './cpu.ts';
import type { DialectName } from './dialects.ts';
import type { Command } from './peers.ts';
import { type Core, launcherFor } from './processes.ts';
import type { PublisherCalls } from './publisher.ts';
import type { SubscriberCalls } from './subscribers.ts';

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
  readonly subscribers: CallChild<SubscriberCalls>;
  readonly publisher: CallChild<PublisherCalls>;
}

function startLoadGenerator<C extends Procedures>(file: string): RpcChild<C> {
  return startRpcChild(new URL(file, import.meta.url), launcherFor('load'));
}

function addUsage(a: Usage, b: Usage): Usage {
  return { cpuSeconds: a.cpuSeconds + b.cpuSeconds, rssBytes: a.rssBytes + b.rssBytes };
}

/**
 * One run against fresh servers, whose answers are checked before `work` begins. Rejects when one is wrong, or when
 * `work` does; nothing that was started is left behind.
 */
export async function onStage<T>(setup: Setup, work: (stage: Stage) => Promise<T>): Promise<T> {
  const { title, dialect, command, env, servers: count = 1, core = 'server' } = setup;
  const ports = await Promise.all(Array.from({ length: count }, freePort));
  const servers = ports.map((port) => {
    const common = { PORT: `${port}`, HOST: '127.0.0.1', JWT_SECRET: SECRET };
    return new ServerProcess({
      command: [...launcherFor(core), ...command],
      env: { ...common, ...OBSERVED, ...env },
    });
  });
  const subscribers = startLoadGenerator<SubscriberCalls>('./subscribers.ts');
  const publisher = startLoadGenerator<PublisherCalls>('./publisher.ts');
  try {
    await Promise.all(servers.map((server, i) => server.untilReady(ports[i] ?? 0)));
    for (const [i, port] of ports.entries()) {
      // Around the circle, so that every server is asked and what it has to pass on is too.
      await checkAnswers({ dialect, port, postPort: ports[(i + 1) % count] ?? port });
    }
    return await work({
      dialect,
      servers,
      ports,
      usage: () => servers.map(({ pid }) => usageOf(pid)).reduce(addUsage),
      subscribers: subscribers.call,
      publisher: publisher.call,
    });
  } catch (error) {
    const complaint = servers.map(({ stderr }) => stderr).join('');
    throw new Error(`${title}: ${(error as Error).message}${complaint && `\n${complaint}`}`, {
      cause: error,
    });
  } finally {
    await Promise.all(
      [...servers, subscribers, publisher].map(({ child }) => endChild(child, 'SIGKILL')),
    );
  }
}
