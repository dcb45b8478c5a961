import { randomUUID } from 'node:crypto';
import { isObject, parseJson } from '../../protocol/json.ts';
import { BifrostError, BifrostPublisher } from '../../publisher/index.ts';
import { publishFailureText } from '../broadcast/publish-failure.ts';
import { failureText } from '../one-line.ts';
import type { Target } from '../target.ts';
import { clockDifference } from './clock-difference.ts';
import { Subscriber } from './subscriber.ts';

/** What a running server was asked, and what came of it. */
export interface ServerCheck {
  readonly name: string;
  readonly ok: boolean;
  /** What was seen and, after a failure, what to look at. */
  readonly text: string;
}

/** How long an answer may take. */
const TIMEOUT_MS = 10_000;
/** NTP keeps clocks closer than this by far. Tokens often live for a minute. */
const MAX_CLOCK_DIFFERENCE_S = 5;
/** The answer of `GET /healthz` is shorter. */
const MAX_HEALTH_BYTES = 1_024;

/** An answer to `GET /healthz`, with our clock before and after it. */
interface HealthAnswer {
  readonly status: number;
  readonly body: string;
  readonly date: string | undefined;
  readonly sentMs: number;
  readonly receivedMs: number;
}

/** Asks a server, one question after the other. There are no more after the first when it cannot be reached. */
export async function* checkServer(target: Target): AsyncGenerator<ServerCheck> {
  const { url } = target;
  let answer: HealthAnswer;
  try {
    answer = await askHealth(`${url}/healthz`);
  } catch (error) {
    const why = isTimeout(error) ? noAnswer() : failureText(error);
    const text = `cannot reach ${url}: ${why} (is the server running, and is this its address?)`;
    yield { name: 'health', ok: false, text };
    return;
  }
  yield judgeHealth(url, answer);
  yield judgeClock(answer);
  yield* checkDelivery(target);
}

async function askHealth(address: string): Promise<HealthAnswer> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const sentMs = Date.now();
  const response = await fetch(address, { redirect: 'manual', signal });
  const receivedMs = Date.now();
  const body = await readStart(response);
  const date = response.headers.get('Date') ?? undefined;
  return { status: response.status, body, date, sentMs, receivedMs };
}

/** The start of a body. A stranger's may be endless. */
async function readStart({ body }: Response): Promise<string> {
  let bytes = Buffer.alloc(0);
  for await (const chunk of body ?? []) {
    bytes = Buffer.concat([bytes, chunk]);
    if (bytes.length > MAX_HEALTH_BYTES) break;
  }
  return bytes.toString();
}

function judgeHealth(url: string, { status, body }: HealthAnswer): ServerCheck {
  const json = parseJson(body);
  const state = isObject(json) && typeof json['status'] === 'string' ? json['status'] : undefined;
  const ok = status === 200 && state === 'ok';
  const hint =
    status === 503 && state !== undefined
      ? ' (its log says more)'
      : ' (is this the address of a Bifröst?)';
  const answered = `${url}/healthz answered ${status}${state === undefined ? '' : ` ${state}`}`;
  return { name: 'health', ok, text: ok ? answered : answered + hint };
}

function judgeClock({ date, sentMs, receivedMs }: HealthAnswer): ServerCheck {
  const difference = date === undefined ? undefined : clockDifference(date, sentMs, receivedMs);
  if (difference === undefined) {
    return { name: 'clock', ok: false, text: 'the answer has no Date (does a proxy take it out?)' };
  }
  const ok = Math.abs(difference) <= MAX_CLOCK_DIFFERENCE_S;
  const direction = difference > 0 ? 'ahead of' : 'behind';
  const text =
    difference === 0
      ? 'the same as here'
      : `${Math.abs(difference).toFixed(1)} s ${direction} this machine's`;
  const hint = ' (tokens often live for a minute: set both clocks by NTP)';
  return { name: 'clock', ok, text: ok ? text : text + hint };
}

/** Subscribes to a channel that nobody else is on, and broadcasts to it. */
async function* checkDelivery(target: Target): AsyncGenerator<ServerCheck> {
  const channel = `bifrost-check:${randomUUID()}`;
  const subscriber = new Subscriber(target.url, channel, target.secret, TIMEOUT_MS);
  try {
    const problem = await subscriber.whyNotSubscribed();
    const subscribed = `a websocket was subscribed to ${channel}`;
    yield { name: 'token', ok: problem === undefined, text: problem ?? subscribed };
    yield await checkBroadcast(target, channel, problem === undefined ? subscriber : undefined);
  } finally {
    subscriber.close();
  }
}

async function checkBroadcast(
  { url, secret }: Target,
  channel: string,
  subscriber: Subscriber | undefined,
): Promise<ServerCheck> {
  const failed = (text: string) => ({ name: 'broadcast', ok: false, text });
  // The form for one message is the one that every server knows, the Crystal original too.
  const { publish } = new BifrostPublisher({ secret, url, batch: false });
  const message = JSON.stringify({ event: 'check', id: randomUUID() });
  subscriber?.expect(message);
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const startedAt = performance.now();
  try {
    const { deliveries, partial } = await publish(channel, message, { history: false, signal });
    if (subscriber === undefined) return failed('it was taken, but nobody could be subscribed');
    const isLost = deliveries === 0 && !partial;
    if (isLost || !(await subscriber.receives())) {
      const hint = 'do several servers share this address without WEB_CONCURRENCY or REDIS_URL?';
      return failed(`it was taken, but did not arrive (${hint})`);
    }
  } catch (error) {
    const isLate = error instanceof BifrostError && isTimeout(error.cause);
    return failed(isLate ? noAnswer() : publishFailureText(error, url));
  }
  const ms = Math.ceil(performance.now() - startedAt);
  return { name: 'broadcast', ok: true, text: `it arrived after ${ms} ms` };
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.name === 'TimeoutError';
}

function noAnswer(): string {
  return `no answer within ${TIMEOUT_MS / 1_000} s`;
}
