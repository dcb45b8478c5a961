import { setTimeout as delay } from 'node:timers/promises';
import { sign } from '../support/tokens.ts';
import { type Arena, SERVER_ENV } from './arena.ts';
import { DRAIN_SECONDS, drainReceivers } from './drain.ts';
import { post, talkHttp } from './http-wire.ts';
import { count } from './report.ts';
import { freePort, ServerProcess } from './server-process.ts';
import { HANDSHAKE, handshake, subscribe, subscribedText, WireClient } from './wire.ts';

/** `kill -9` in the middle of a conversation, and the same port again at once. */
export async function restart(arena: Arena): Promise<void> {
  const { port } = arena.server;
  const client = new WireClient(port).send(HANDSHAKE, subscribe(['a']));
  await client.received(1);
  arena.server.kill('SIGKILL');
  const { signal } = await arena.server.ended;
  await client.gone;

  const server = await ServerProcess.start(port, SERVER_ENV);
  const again = new WireClient(port).send(HANDSHAKE, subscribe(['a']));
  await again.received(1);
  const isConfirmed = again.texts.join() === subscribedText('a');
  const broadcast = post(
    JSON.stringify({ token: sign({ channel: 'a', message: { back: true } }) }),
  );
  const { replies } = await talkHttp(port, broadcast, { replies: 1 });
  await again.received(2);
  const isBack =
    isConfirmed &&
    replies[0]?.body === '{"message":"Success","deliveries":1}' &&
    again.texts.at(-1) === '{"back":true}';
  again.socket.destroy();
  server.kill('SIGKILL');
  await server.ended;
  arena.verdict(
    signal === 'SIGKILL' && isBack,
    `restart  killed with ${signal}, serves again on its port`,
  );
}

const ENDED_WITHIN_MS = 30_000;
/** A second SIGTERM comes then. */
const INSIST_AFTER_MS = 500;

/** SIGTERM under load, on a server of its own. */
export async function drain(arena: Arena): Promise<void> {
  const port = await freePort();
  const target = arena.target(0, port);
  const receivers = drainReceivers(target);
  const server = await ServerProcess.start(port, {
    DRAIN_SECONDS: String(DRAIN_SECONDS),
    MAX_CONNECTIONS: String(receivers),
  });
  const faults: string[] = [];
  const expect = (isSo: boolean, fault: string) => {
    if (!isSo) faults.push(fault);
  };
  await arena.attacker('openDrain', target);
  const full = await refusedUpgrade(port);
  expect(full === '503 {"error":"Too many connections"} 5', `an upgrade above the limit: ${full}`);

  const posted = arena.attacker('slowPost', target);
  await arena.attacker('hangingRequest', target);
  await arena.attacker('markDrain', undefined);
  const signalled = performance.now();
  server.kill('SIGTERM');
  const health = await firstDrainingAnswer(server);
  const healthMs = Math.round(performance.now() - signalled);
  expect(health && healthMs < 1_000, `/healthz says draining: ${health}, after ${healthMs} ms`);
  const refused = await refusedUpgrade(port);
  expect(refused === '503 {"error":"Server shutting down"} 1', `an upgrade meanwhile: ${refused}`);
  await delay(INSIST_AFTER_MS);
  server.kill('SIGTERM');

  const { code, signal } = await server.ended;
  const ms = Math.round(performance.now() - signalled);
  expect(code === 0 && signal === null, `ended with ${code} ${signal}: ${server.complaint}`);
  expect(ms < ENDED_WITHIN_MS, `ended after ${ms} ms`);
  const status = await posted;
  expect(status === 200, `the post in flight: ${status}`);

  const report = await arena.attacker('drainReport', undefined);
  arena.count(report);
  arena.verdict(
    faults.length === 0 && report.faults.length === 0,
    `drain  ${count(receivers)} sockets, left per second ${report.closedPerSecond.join(' ')}; ` +
      `${report.broadcasts} broadcasts answered, ${count(report.deliveries)} received; exit ${code} after ${ms} ms`,
    [...faults, ...report.faults],
  );
}

/** Status, body and `Retry-After` of a handshake that must not succeed. */
async function refusedUpgrade(port: number): Promise<string> {
  const { replies } = await talkHttp(port, handshake());
  const [reply] = replies;
  return `${reply?.status} ${reply?.body} ${reply?.headers['retry-after']}`;
}

/** The signal needs a moment to arrive. */
async function firstDrainingAnswer(server: ServerProcess): Promise<boolean> {
  for (let attempt = 0; attempt < 20; attempt += 1) {
    const health = await server.get('/healthz');
    if (health?.status === 503 && health.body === '{"status":"draining"}') return true;
    await delay(20);
  }
  return false;
}
