import { setTimeout as delay } from 'node:timers/promises';
import { handshake } from '../support/handshake.ts';
import { sign } from '../support/tokens.ts';
import { HANDSHAKE, subscribe, subscribedText } from './client-messages.ts';
import { DRAIN_SECONDS, drainSubscriberCount } from './drain-load.ts';
import { post, sendHttp } from './http-client.ts';
import { formatCount } from './report.ts';
import { ServerUnderTest } from './server-under-test.ts';
import { SERVER_ENV, type Testbed } from './testbed.ts';
import { WireClient } from './wire-client.ts';

/** `kill -9` while a client is subscribed, and a new server on the same port at once. */
export async function restart({ server, results }: Testbed): Promise<void> {
  const { port } = server;
  const client = new WireClient(port).send(HANDSHAKE, subscribe(['a']));
  await client.received(1);
  server.kill('SIGKILL');
  const { signal } = await server.ended;
  await client.disconnected;

  const next = await ServerUnderTest.start({ port, env: SERVER_ENV });
  const isServing = await servesBroadcast(port);
  await next.stop();
  results.verdicts.add(
    signal === 'SIGKILL' && isServing,
    `restart  killed with ${signal}, serves again on its port`,
  );
}

/** Whether a subscription is confirmed and a broadcast reaches it. */
async function servesBroadcast(port: number): Promise<boolean> {
  const client = new WireClient(port).send(HANDSHAKE, subscribe(['a']));
  await client.received(1);
  const isConfirmed = client.texts.join() === subscribedText('a');
  const token = sign({ channel: 'a', message: { back: true } });
  const { replies } = await sendHttp(port, post(JSON.stringify({ token })), { replies: 1 });
  await client.received(2);
  const isReceived = client.texts.at(-1) === '{"back":true}';
  client.socket.destroy();
  return isConfirmed && isReceived && replies[0]?.body === '{"message":"Success","deliveries":1}';
}

const MAX_DRAIN_MS = 30_000;
/** When a second SIGTERM is sent. */
const SECOND_SIGNAL_AFTER_MS = 500;
const MAX_HEALTH_DELAY_MS = 1_000;

/** SIGTERM under load, on a server of its own. */
export async function drain(testbed: Testbed): Promise<void> {
  const { callAttacker, results } = testbed;
  const subscribers = drainSubscriberCount(testbed.target(0));
  const server = await ServerUnderTest.start({
    env: { DRAIN_SECONDS: String(DRAIN_SECONDS), MAX_CONNECTIONS: String(subscribers) },
  });
  const { port } = server;
  const target = testbed.target(0, port);
  const faults: string[] = [];
  const expect = (isOk: boolean, fault: string) => {
    if (!isOk) faults.push(fault);
  };
  await callAttacker('startDrainLoad', target);
  const full = await refusedUpgrade(port);
  expect(full === '503 {"error":"Too many connections"} 5', `an upgrade above the limit: ${full}`);

  const posted = callAttacker('postSlowly', target);
  await callAttacker('openHangingRequest', target);
  await callAttacker('markSignal', undefined);
  const signalledAt = performance.now();
  server.kill('SIGTERM');
  const isDraining = await saysDraining(server);
  const healthMs = Math.round(performance.now() - signalledAt);
  const isInTime = healthMs < MAX_HEALTH_DELAY_MS;
  expect(isDraining && isInTime, `/healthz says draining: ${isDraining}, after ${healthMs} ms`);
  const refused = await refusedUpgrade(port);
  expect(refused === '503 {"error":"Server shutting down"} 1', `an upgrade meanwhile: ${refused}`);
  await delay(SECOND_SIGNAL_AFTER_MS);
  server.kill('SIGTERM');

  const { code, signal } = await server.ended;
  const ms = Math.round(performance.now() - signalledAt);
  expect(code === 0 && signal === null, `ended with ${code} ${signal}: ${server.stderr}`);
  expect(ms < MAX_DRAIN_MS, `ended after ${ms} ms`);
  const status = await posted;
  expect(status === 200, `the post in flight: ${status}`);

  const report = await callAttacker('reportDrain', undefined);
  results.addOutcome(report);
  results.verdicts.add(
    faults.length === 0 && report.faults.length === 0,
    `drain  ${formatCount(subscribers)} websockets, closed per second ${report.closedPerSecond.join(' ')}; ` +
      `${report.broadcasts} broadcasts answered, ${formatCount(report.deliveries)} received; ` +
      `exit ${code} after ${ms} ms`,
    [...faults, ...report.faults],
  );
}

/** Status, body and `Retry-After` of a handshake that must not succeed. */
async function refusedUpgrade(port: number): Promise<string> {
  const { replies } = await sendHttp(port, handshake());
  const [reply] = replies;
  return `${reply?.status} ${reply?.body} ${reply?.headers['retry-after']}`;
}

/** Polls, because the signal needs a moment to arrive. */
async function saysDraining(server: ServerUnderTest): Promise<boolean> {
  for (let attempt = 0; attempt < 20; attempt += 1) {
    const health = await server.get('/healthz');
    if (health?.status === 503 && health.body === '{"status":"draining"}') return true;
    await delay(20);
  }
  return false;
}
