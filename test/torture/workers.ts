import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Arena } from './arena.ts';
import { inParallel, times } from './attack.ts';
import { openSocket } from './http-wire.ts';
import { Publisher } from './publisher.ts';
import { count, mebibytes } from './report.ts';
import { freePort, METRICS_TOKEN, ServerProcess } from './server-process.ts';
import { HANDSHAKE, subscribe, WireClient } from './wire.ts';

const FILES = 256;
const CONNECTIONS = 700;
const BACK_WITHIN_MS = 5_000;
/** How long the connections stay that take every file descriptor. */
const HELD_MS = 1_500;

/** Connections until no process has a file descriptor left; all of them go, and it must serve again. */
export async function descriptorShortage(arena: Arena): Promise<void> {
  for (const processes of [1, 2]) {
    const faults: string[] = [];
    const env = { WEB_CONCURRENCY: String(processes), METRICS: 'true', METRICS_TOKEN };
    const server = await ServerProcess.start(await freePort(), env, FILES);
    const sockets: Socket[] = [];
    // Not all at once: the first process itself would refuse most, and pass few on to the others.
    await inParallel(CONNECTIONS, 20, async () => {
      const socket = openSocket(server.port);
      sockets.push(socket);
      await Promise.race([once(socket, 'connect'), once(socket, 'close')]);
    });
    await delay(HELD_MS);
    for (const socket of sockets) socket.destroy();

    const freed = performance.now();
    const ms = () => Math.round(performance.now() - freed);
    let metrics: string | undefined;
    while (metrics === undefined && ms() < BACK_WITHIN_MS) {
      metrics = (await server.get('/metrics', BACK_WITHIN_MS))?.body;
    }
    const servedAfterMs = ms();
    if (metrics === undefined) faults.push(`serves nothing after ${servedAfterMs} ms`);
    const shortages = Number(
      /^bifrost_descriptor_shortages_total (\d+)$/m.exec(metrics ?? '')?.[1],
    );
    if (!(shortages > 0)) faults.push(`descriptor shortages counted: ${shortages}`);
    await server.stop();
    arena.verdict(
      faults.length === 0,
      `descriptor shortage  ${processes} process(es) of ${FILES} files, ${CONNECTIONS} connections; ` +
        `serves ${servedAfterMs} ms after they went, ${shortages} shortages counted`,
      faults,
    );
  }
}

const DRAIN_SECONDS = 1;
/** What the contract gives a drain beyond its window, and this machine beyond that. */
const GRACE_MS = 3_000;
const NOISE_MS = 3_000;
/** The first process may keep 64 MiB for a worker, and copies of it until they are collected. */
const MAY_COST_BYTES = 256 * 1_024 * 1_024;
const KILLED_WITHIN_MS = 30_000;
const IN_FLIGHT = 100;

/** A worker is stopped in the middle of broadcasts: it is killed and replaced. Another is, during the drain. */
export async function hungWorker(arena: Arena): Promise<void> {
  const faults: string[] = [];
  const server = await ServerProcess.start(await freePort(), {
    WEB_CONCURRENCY: '2',
    DRAIN_SECONDS: String(DRAIN_SECONDS),
  });
  const clients = await subscribeMany(server.port, times(arena.target(0), 400));
  const [victim = 0] = server.workers();
  const rss = server.takePeak();
  process.kill(victim, 'SIGSTOP');
  const posted = await publishUntil(server, () => !server.workers().includes(victim));
  const cost = server.takePeak() - rss;
  if (server.workers().includes(victim)) {
    faults.push('the hung worker is still there');
    process.kill(victim, 'SIGCONT');
  }
  if (cost > MAY_COST_BYTES) faults.push(`the first process grew by ${mebibytes(cost)} MiB`);

  while (server.workers().length < 2) await delay(20);
  const after = await subscribeMany(server.port, 20);
  const [next = 0] = server.workers();
  process.kill(next, 'SIGSTOP');
  const signalled = performance.now();
  server.kill('SIGTERM');
  const patience = new AbortController();
  const tooLate = delay(DRAIN_SECONDS * 1_000 + GRACE_MS + NOISE_MS, undefined, patience);
  const ending = await Promise.race([server.ended, tooLate]);
  patience.abort();
  const ms = Math.round(performance.now() - signalled);
  if (ending === undefined) {
    faults.push(`has not ended after ${ms} ms`);
    for (const worker of server.workers()) process.kill(worker, 'SIGKILL');
    await server.stop();
  } else if (ending.code !== 0) {
    faults.push(`ended with ${ending.code} ${ending.signal}: ${server.complaint}`);
  }
  await Promise.all([...clients, ...after].map(({ gone }) => gone));
  arena.verdict(
    faults.length === 0,
    `hung worker  killed and replaced after ${count(posted)} broadcasts, first process ` +
      `${mebibytes(cost)} MiB larger; with another, ended ${ms} ms after SIGTERM (window ${DRAIN_SECONDS} s)`,
    faults,
  );
}

async function subscribeMany(port: number, howMany: number): Promise<WireClient[]> {
  const clients = Array.from({ length: howMany }, () =>
    new WireClient(port, { patienceMs: 2 * KILLED_WITHIN_MS }).send(HANDSHAKE, subscribe(['a'])),
  );
  for (const client of clients) {
    await client.received(1);
    client.onFrame = () => {};
  }
  return clients;
}

/** Publishes large messages; every one waits for the hung worker, so many are under way. */
async function publishUntil(server: ServerProcess, isOver: () => boolean): Promise<number> {
  const publisher = new Publisher(server.port);
  const deadline = performance.now() + KILLED_WITHIN_MS;
  const text = JSON.stringify({ padding: 'x'.repeat(400_000) });
  let posted = 0;
  const publish = async () => {
    while (!isOver() && performance.now() < deadline) {
      posted += 1;
      await publisher.publish('a', text).catch(() => {});
    }
  };
  // A connection that a hung worker holds is never answered.
  const patience = new AbortController();
  const tooLate = delay(KILLED_WITHIN_MS, undefined, patience);
  await Promise.race([Promise.all(Array.from({ length: IN_FLIGHT }, publish)), tooLate]);
  patience.abort();
  publisher.close();
  return posted;
}
