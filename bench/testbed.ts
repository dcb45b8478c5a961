import { endChild } from '../test/support/child-cleanup.ts';
import {
  type CallChild,
  type Procedures,
  type RpcChild,
  startRpcChild,
} from '../test/support/child-rpc.ts';
import { freePort } from '../test/support/free-port.ts';
import { ServerProcess, type ServerProcessOptions } from '../test/support/server-process.ts';
import { SECRET } from '../test/support/tokens.ts';
import { checkAnswers } from './check-answers.ts';
import type { Command } from './competitors.ts';
import { type Core, launcherFor } from './cpu-pinning.ts';
import type { ProtocolName } from './load/protocol-adapters.ts';
import type { PublisherProcedures } from './load/publisher-process.ts';
import type { SubscriberProcedures } from './load/subscriber-process.ts';
import { readUsage, type Usage } from './process-stats.ts';

/** As in production, with everything on by which Bifröst can be observed. The other servers ignore these. */
const PRODUCTION_ENV = { NODE_ENV: 'production', METRICS: 'true', LOG_LEVEL: 'info' } as const;

/** Which servers are measured: one, or several that act as one. */
export interface ServerSetup {
  /** For people. */
  readonly title: string;
  readonly protocol: ProtocolName;
  /** Starts a server that reads PORT, HOST and JWT_SECRET. */
  readonly command: Command;
  /** More settings. Those that connect several servers are among them. */
  readonly env?: Readonly<Record<string, string>>;
  /** 1 unless given. */
  readonly serverCount?: number;
  /** The core of the servers unless given. */
  readonly core?: Core;
}

/** For one run: servers that are ready, and load generators that do nothing yet. */
export interface Testbed {
  readonly protocol: ProtocolName;
  readonly servers: readonly ServerProcess[];
  /** Of the servers, in the same order. */
  readonly ports: readonly number[];
  /** What all servers together have used so far. */
  readUsage(): Usage;
  readonly callSubscribers: CallChild<SubscriberProcedures>;
  readonly callPublisher: CallChild<PublisherProcedures>;
}

/** The command and environment of a server on `port`. */
export function serverOptions(
  { command, env, core = 'server' }: ServerSetup,
  port: number,
): ServerProcessOptions {
  const common = { PORT: String(port), HOST: '127.0.0.1', JWT_SECRET: SECRET };
  return {
    command: [...launcherFor(core), ...command],
    env: { ...common, ...PRODUCTION_ENV, ...env },
  };
}

/** Starts a server process on `port`. It is ready when its `untilReady` resolves. */
export function startServer(setup: ServerSetup, port: number): ServerProcess {
  return new ServerProcess(serverOptions(setup, port));
}

/** Starts one of the programs in `load/`, such as `app-process`, once they are built. */
export function startLoadGenerator<P extends Procedures>(
  program: string,
  core: Core = 'load',
): RpcChild<P> {
  return startRpcChild(new URL(`./dist/${program}.js`, import.meta.url), launcherFor(core));
}

async function checkServers(protocol: ProtocolName, ports: readonly number[]): Promise<void> {
  for (const [index, port] of ports.entries()) {
    // Posting to the next server checks every server, and what each passes on to another.
    await checkAnswers({ protocol, port, postPort: ports[(index + 1) % ports.length] ?? port });
  }
}

function addUsage(a: Usage, b: Usage): Usage {
  return { cpuSeconds: a.cpuSeconds + b.cpuSeconds, rssBytes: a.rssBytes + b.rssBytes };
}

/**
 * Starts servers and load generators, checks the answers of the servers, and then calls `measure`. Rejects when an
 * answer is wrong or `measure` rejects, with what the servers wrote to stderr. All processes have ended when it settles.
 */
export async function withTestbed<T>(
  setup: ServerSetup,
  measure: (testbed: Testbed) => Promise<T>,
): Promise<T> {
  const { title, protocol, serverCount = 1 } = setup;
  const ports = await Promise.all(Array.from({ length: serverCount }, freePort));
  const servers = ports.map((port) => startServer(setup, port));
  const subscribers = startLoadGenerator<SubscriberProcedures>('subscriber-process');
  const publisher = startLoadGenerator<PublisherProcedures>('publisher-process');
  try {
    await Promise.all(servers.map((server, index) => server.untilReady(ports[index] ?? 0)));
    await checkServers(protocol, ports);
    return await measure({
      protocol,
      servers,
      ports,
      readUsage: () => servers.map(({ pid }) => readUsage(pid)).reduce(addUsage),
      callSubscribers: subscribers.call,
      callPublisher: publisher.call,
    });
  } catch (error) {
    const stderr = servers.map((server) => server.stderr).join('');
    const message = `${title}: ${(error as Error).message}${stderr && `\n${stderr}`}`;
    throw new Error(message, { cause: error });
  } finally {
    const children = [...servers, subscribers, publisher].map(({ child }) => child);
    await Promise.all(children.map((child) => endChild(child, 'SIGKILL')));
  }
}
