import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { inParallel, times } from './attack.ts';
import { HANDSHAKE, subscribe } from './client-messages.ts';
import { openSocket } from './http-client.ts';
import { Publisher } from './publisher.ts';
import { formatCount, MEBIBYTE, mebibytes } from './report.ts';
import { METRICS_TOKEN, ServerUnderTest } from './server-under-test.ts';
import type { Testbed } from './testbed.ts';
import { WireClient } from './wire-client.ts';
import { withTimeout } from './with-timeout.ts';

const MAX_FILES = 256;
const CONNECTIONS = 700;
const RECOVERY_TIMEOUT_MS = 5_000;
/** How long the connections stay that take every file descriptor. */
const HOLD_MS = 1_500;

/** Opens connections until no process has a file descriptor left. When they close, the server must serve again. */
export async function descriptorShortage({ results }: Testbed): Promise<void> {
  for (const processes of [1, 2]) {
    const env = { WEB_CONCURRENCY: String(processes), METRICS: 'true', METRICS_TOKEN };
    const server = await ServerUnderTest.start({ env, maxFiles: MAX_FILES });
    await exhaustDescriptors(server.port);
    const { metrics, ms } = await untilRecovered(server);
    await server.stop();

    const faults: string[] = [];
    if (metrics === undefined) faults.push(`serves nothing after ${ms} ms`);
    const sample = /^bifrost_descriptor_shortages_total (\d+)$/m.exec(metrics ?? '');
    const shortages = Number(sample?.[1]);
    if (!(shortages > 0)) faults.push(`descriptor shortages counted: ${shortages}`);
    results.verdicts.add(
      faults.length === 0,
      `descriptor shortage  ${processes} process(es) of ${MAX_FILES} files, ${CONNECTIONS} connections; ` +
        `serves ${ms} ms after they closed, ${shortages} shortages counted`,
      faults,
    );
  }
}

async function exhaustDescriptors(port: number): Promise<void> {
  const sockets: Socket[] = [];
  // If all connected at once, the first process itself would refuse most and pass few on to its workers.
  await inParallel(CONNECTIONS, 20, async () => {
    const socket = openSocket(port);
    sockets.push(socket);
    await Promise.race([once(socket, 'connect'), once(socket, 'close')]);
  });
  await delay(HOLD_MS);
  for (const socket of sockets) socket.destroy();
}

/** The first metrics that the server answers with, and how long that took. */
async function untilRecovered(
  server: ServerUnderTest,
): Promise<{ readonly metrics: string | undefined; readonly ms: number }> {
  const startedAt = performance.now();
  const elapsedMs = () => Math.round(performance.now() - startedAt);
  let metrics: string | undefined;
  while (metrics === undefined && elapsedMs() < RECOVERY_TIMEOUT_MS) {
    metrics = (await server.get('/metrics', RECOVERY_TIMEOUT_MS))?.body;
  }
  return { metrics, ms: elapsedMs() };
}

const DRAIN_SECONDS = 1;
/** The contract's limit for a drain beyond its window. */
const DRAIN_GRACE_MS = 3_000;
/** What a busy machine may need beyond the contract. */
const MACHINE_GRACE_MS = 3_000;
/** The first process may keep 64 MiB for a worker, and copies of it until they are collected. */
const MAX_RSS_RISE = 256 * MEBIBYTE;
const KILL_TIMEOUT_MS = 30_000;
const PUBLISHERS = 100;

/** Stops a worker by SIGSTOP during broadcasts: it must be killed and replaced. Then stops another during the drain. */
export async function hungWorker(testbed: Testbed): Promise<void> {
  const faults: string[] = [];
  const server = await ServerUnderTest.start({
    env: { WEB_CONCURRENCY: '2', DRAIN_SECONDS: String(DRAIN_SECONDS) },
  });
  const clients = await subscribeMany(server.port, times(testbed.target(0), 400));
  const [hung = 0] = server.workers();
  const rss = server.takePeakRss();
  process.kill(hung, 'SIGSTOP');
  const posted = await publishUntil(server.port, () => !server.workers().includes(hung));
  const rise = server.takePeakRss() - rss;
  if (server.workers().includes(hung)) {
    faults.push('the hung worker is still there');
    process.kill(hung, 'SIGCONT');
  }
  if (rise > MAX_RSS_RISE) faults.push(`the first process grew by ${mebibytes(rise)} MiB`);

  while (server.workers().length < 2) await delay(20);
  clients.push(...(await subscribeMany(server.port, 20)));
  const drainMs = await drainWithHungWorker(server, faults);
  await Promise.all(clients.map(({ disconnected }) => disconnected));
  testbed.results.verdicts.add(
    faults.length === 0,
    `hung worker  killed and replaced after ${formatCount(posted)} broadcasts, first process ` +
      `${mebibytes(rise)} MiB larger; with another, ended ${drainMs} ms after SIGTERM (window ${DRAIN_SECONDS} s)`,
    faults,
  );
}

/** Resolves to the milliseconds from SIGTERM to the end of the server. */
async function drainWithHungWorker(server: ServerUnderTest, faults: string[]): Promise<number> {
  const [hung = 0] = server.workers();
  process.kill(hung, 'SIGSTOP');
  const signalledAt = performance.now();
  server.kill('SIGTERM');
  const maxMs = DRAIN_SECONDS * 1_000 + DRAIN_GRACE_MS + MACHINE_GRACE_MS;
  const end = await withTimeout(server.ended, maxMs);
  const ms = Math.round(performance.now() - signalledAt);
  if (end === undefined) {
    faults.push(`has not ended after ${ms} ms`);
    for (const worker of server.workers()) process.kill(worker, 'SIGKILL');
    await server.stop();
  } else if (end.code !== 0) {
    faults.push(`ended with ${end.code} ${end.signal}: ${server.stderr}`);
  }
  return ms;
}

async function subscribeMany(port: number, count: number): Promise<WireClient[]> {
  const clients = Array.from({ length: count }, () =>
    new WireClient(port, { idleTimeoutMs: 2 * KILL_TIMEOUT_MS }).send(HANDSHAKE, subscribe(['a'])),
  );
  for (const client of clients) {
    await client.received(1);
    client.onFrame = () => {};
  }
  return clients;
}

/** Publishes large messages. Each waits for the hung worker, so many are in flight. Resolves to their number. */
async function publishUntil(port: number, isOver: () => boolean): Promise<number> {
  const publisher = new Publisher(port);
  const deadline = performance.now() + KILL_TIMEOUT_MS;
  const text = JSON.stringify({ padding: 'x'.repeat(400_000) });
  let posted = 0;
  const publish = async () => {
    while (!isOver() && performance.now() < deadline) {
      posted += 1;
      await publisher.publish('a', text).catch(() => {});
    }
  };
  // A post on a connection that the hung worker holds is never answered.
  await withTimeout(Promise.all(Array.from({ length: PUBLISHERS }, publish)), KILL_TIMEOUT_MS);
  publisher.close();
  return posted;
}
