import { on } from 'node:events';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { endChild } from '../../test/support/child-cleanup.ts';
import { freePort } from '../../test/support/free-port.ts';
import { ServerProcess } from '../../test/support/server-process.ts';
import { type Figures, quantile } from '../figures.ts';
import { createMessage } from '../load/message.ts';
import type { Closings } from '../load/scale-process.ts';
import { readKernelObjectBytes, readMachineLimits } from '../machine-limits.ts';
import { SETTLE_MS } from '../measure-scenario.ts';
import { publish } from '../numbered-publisher.ts';
import { countOpenFiles, readUsage } from '../process-stats.ts';
import { ScaleClients } from '../scale-clients.ts';
import { findShortage, MAX_FILES_SHARE, planScale, type ScalePlan } from '../scale-plan.ts';
import type { Counts } from '../scenarios.ts';
import { serverOptions } from '../testbed.ts';
import { PROBED_COMMAND, takeEventLoopDelays } from './event-loop-trial.ts';
import { bifrostSetup, trial } from './trial.ts';

const CHANNEL = 'everyone';
const BROADCASTS = 5;
/** The close code of a drain. */
const SHUTTING_DOWN = 1001;
/** The longest there is: all clients are on this machine, and answer each goodbye with its own cores. */
const DRAIN_SECONDS = 25;
const START_TIMEOUT_MS = 60_000;
/** What each worker logs when it accepts connections. */
const LISTENS = 'Bifröst listens';

/** Resolves when every worker listens: one that comes late would get few connections. */
async function untilAllListen({ child }: ServerProcess, workers: number): Promise<void> {
  const stdout = (child.stdout as Readable).setEncoding('utf8');
  const signal = AbortSignal.timeout(START_TIMEOUT_MS);
  let text = '';
  for await (const [chunk] of on(stdout, 'data', { signal })) {
    text += chunk;
    if (text.split(LISTENS).length > workers) break;
  }
  // What it logs from now on is thrown away.
  stdout.resume();
}

function startWorkers(plan: ScalePlan, port: number, drainSeconds: number): ServerProcess {
  const setup = bifrostSetup('Bifröst', {
    command: PROBED_COMMAND,
    // The clients are on the same cores.
    core: 'any',
    env: { WEB_CONCURRENCY: String(plan.processes), DRAIN_SECONDS: String(drainSeconds) },
  });
  return new ServerProcess({ ...serverOptions(setup, port), stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Throws unless every process stays below half of its limit of open files. Returns how many the fullest one has. */
function checkOpenFiles(server: ServerProcess): number {
  const most = Math.max(...countOpenFiles(server.pid));
  const limit = readMachineLimits().openFiles * MAX_FILES_SHARE;
  if (most <= limit) return most;
  throw new Error(`A worker has ${most} open files, more than half of its limit`);
}

/** Connections that are opened and stay. The first ones, which warm the server up, are not measured. */
async function measureConnections(
  server: ServerProcess,
  clients: ScaleClients,
  { warmUp, measured, speed = 1 }: Counts,
): Promise<Figures> {
  await clients.connect(warmUp);
  await sleep(SETTLE_MS / speed);
  const usageBefore = readUsage(server.pid);
  const kernelBefore = readKernelObjectBytes();
  const start = performance.now();
  await clients.connect(measured);
  const seconds = (performance.now() - start) / 1_000;
  await sleep(SETTLE_MS / speed);
  const usage = readUsage(server.pid);
  return {
    connectionsPerSecond: measured / seconds,
    cpuUsPerConnection: ((usage.cpuSeconds - usageBefore.cpuSeconds) * 1e6) / measured,
    rssKbPerConnection: (usage.rssBytes - usageBefore.rssBytes) / measured / 1_000,
    kernelKbPerConnection: (readKernelObjectBytes() - kernelBefore) / measured / 1_000,
    serverRssMb: usage.rssBytes / 1e6,
    mostOpenFiles: checkOpenFiles(server),
  };
}

/** Broadcasts to all, one after the other. */
async function measureBroadcasts(
  server: ServerProcess,
  clients: ScaleClients,
  port: number,
): Promise<Figures> {
  // What came before does not count.
  await takeEventLoopDelays(server);
  const lastDeliveriesMs: number[] = [];
  for (let number = 0; number < BROADCASTS; number++) {
    await clients.call('expect', 1);
    const startNs = Number(process.hrtime.bigint());
    const message = createMessage(number, 'small');
    const [deliveries, counted] = await Promise.all([
      publish([port], { channel: CHANNEL, message }),
      clients.call('untilDelivered', undefined),
    ]);
    if (deliveries !== clients.size) {
      throw new Error(
        `A broadcast was answered with ${deliveries} deliveries, not ${clients.size}`,
      );
    }
    const lastAtNs = Math.max(...counted.map(({ completedAtNs }) => completedAtNs[0] ?? 0));
    lastDeliveriesMs.push((lastAtNs - startNs) / 1e6);
  }
  const delays = await takeEventLoopDelays(server);
  // Rejects when something came twice.
  await clients.call('expect', 0);
  return {
    lastDeliveryMs: quantile(
      lastDeliveriesMs.toSorted((a, b) => a - b),
      0.5,
    ),
    slowestLastDeliveryMs: Math.max(...lastDeliveriesMs),
    delayP99Ms: Math.max(...delays.map(({ p99Ms }) => p99Ms)),
    delayMaxMs: Math.max(...delays.map(({ maxMs }) => maxMs)),
  };
}

/** How many connections were closed in the second in which most were. */
function findBusiestSecond(closings: readonly Closings[]): number {
  const sums = new Map<number, number>();
  for (const { perSecond } of closings) {
    for (const [second, count] of perSecond) sums.set(second, (sums.get(second) ?? 0) + count);
  }
  return Math.max(...sums.values());
}

/** Throws unless every connection was closed with the code of a drain. */
function checkCodes(closings: readonly Closings[], connections: number): void {
  const codes = closings.flatMap((each) => [...each.codes]);
  const drained = codes
    .filter(([code]) => code === SHUTTING_DOWN)
    .reduce((sum, [, count]) => sum + count, 0);
  if (drained === connections) return;
  throw new Error(
    `${drained} of ${connections} connections were closed with ${SHUTTING_DOWN}: ${JSON.stringify(codes)}`,
  );
}

/** The server is stopped, and says goodbye to everyone. */
async function measureDrain(server: ServerProcess, clients: ScaleClients): Promise<Figures> {
  await clients.call('expectDrain', undefined);
  const startNs = Number(process.hrtime.bigint());
  const exited = server.end('SIGTERM');
  const closings = await clients.call('untilDrained', undefined);
  checkCodes(closings, clients.size);
  await exited;
  if (server.child.exitCode !== 0) throw new Error(`It ended with ${server.child.exitCode}`);
  return {
    drainSeconds: (Math.max(...closings.map(({ lastAtNs }) => lastAtNs)) - startNs) / 1e9,
    mostClosedPerSecond: findBusiestSecond(closings),
  };
}

async function measure(counts: Counts): Promise<Figures> {
  const connections = counts.warmUp + counts.measured;
  const plan = planScale(connections, readMachineLimits());
  const port = await freePort();
  const server = startWorkers(plan, port, DRAIN_SECONDS / (counts.speed ?? 1));
  const clients = new ScaleClients(plan, { port, channel: CHANNEL });
  try {
    await untilAllListen(server, plan.processes);
    return {
      connections,
      workers: plan.processes,
      ...(await measureConnections(server, clients, counts)),
      ...(await measureBroadcasts(server, clients, port)),
      ...(await measureDrain(server, clients)),
    };
  } catch (error) {
    const message = `${connections} connections: ${(error as Error).message}\n${server.stderr}`;
    throw new Error(message, { cause: error });
  } finally {
    await Promise.all([endChild(server.child, 'SIGKILL'), clients.end()]);
  }
}

/** One machine full of connections, all of which want to know the same, and then leave. */
export const scaleTrial = trial('scale', 'many connections on one machine', {
  fullSeconds: 120,
  full: { warmUp: 5_000, measured: 95_000 },
  quick: { warmUp: 200, measured: 1_800, speed: 10 },
  // Of one process: that is decided by the limit.
  maxConnections: () => 0,
  missingRequirement: ({ warmUp, measured }) =>
    findShortage(warmUp + measured, readMachineLimits()),
  isMeasuredOnce: true,
  variants: [{ name: 'bifrost', title: 'Bifröst', measure }],
  rows: [
    { title: 'connections', figure: 'connections' },
    { title: 'workers, and as many processes of clients', figure: 'workers' },
    { title: 'open files of the fullest worker', figure: 'mostOpenFiles' },
    { title: 'connected and authenticated a second', figure: 'connectionsPerSecond' },
    { title: 'µs of CPU of the server each', figure: 'cpuUsPerConnection' },
    { title: 'KB of RSS of the server each', figure: 'rssKbPerConnection' },
    { title: 'KB of the kernel each, both ends', figure: 'kernelKbPerConnection' },
    { title: 'RSS of all processes of the server, MB', figure: 'serverRssMb' },
    { title: 'a broadcast to all: ms to the last', figure: 'lastDeliveryMs' },
    { title: 'the slowest of five: ms to the last', figure: 'slowestLastDeliveryMs' },
    { title: 'event loop delay p99 meanwhile, ms', figure: 'delayP99Ms' },
    { title: 'event loop delay max meanwhile, ms', figure: 'delayMaxMs' },
    { title: 'drain: seconds to the last goodbye', figure: 'drainSeconds' },
    { title: 'drain: goodbyes in the busiest second', figure: 'mostClosedPerSecond' },
  ],
  note: 'server and clients share the cores, and nothing is pinned. Each client is on a channel of its own and on one of all. The kernel\'s share is the growth of "Slab" in /proc/meminfo, where sockets are; the delay is that of the worker that had the longest. A run fails in which a broadcast is missing or doubled, or a connection ends otherwise than with the close code of the drain.',
});
