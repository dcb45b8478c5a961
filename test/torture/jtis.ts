import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { sign } from '../support/tokens.ts';
import { type Attack, inParallel, type Target, times } from './attack.ts';
import { post, sendHttp } from './http-client.ts';
import { ResultCollector } from './result-collector.ts';

const PER_SECOND = 10_000;
const SECONDS = 30;
/** Pipelined on one connection. */
const REQUESTS_PER_CONNECTION = 50;
const CONNECTIONS = 32;

const ANSWER =
  /^\{"message":"Success","deliveries":0,"results":\[\{"deliveries":0\}\],"position":"[0-9A-Za-z]{8}\.[0-9]{1,16}"\}$/;

/** Posts batches with new jtis, and the first of them again: each is a first sight, and the last a duplicate. */
async function postNewJtis({ port }: Target, results: ResultCollector): Promise<void> {
  const bodies = Array.from({ length: REQUESTS_PER_CONNECTION }, () => {
    const broadcasts = [{ channel: 'nobody', message: {} }];
    return JSON.stringify({ token: sign({ broadcasts, jti: randomUUID() }) });
  });
  for (const body of bodies) results.addMessage(body);
  const requests = [...bodies, ...bodies.slice(0, 1)].map((body) => post(body));
  const { replies } = await sendHttp(port, Buffer.concat(requests), { replies: requests.length });
  for (const index of requests.keys()) {
    const reply = replies[index];
    const isDuplicate = index === bodies.length;
    const isExpected = isDuplicate
      ? reply?.body === `${replies[0]?.body.slice(0, -1)},"duplicate":true}`
      : ANSWER.test(reply?.body ?? '');
    results.check(
      reply?.status === 200 && isExpected,
      () => `${isDuplicate ? 'the same' : 'a new'} jti: ${reply?.status} ${reply?.body}`,
    );
  }
}

/** More jtis than the server may remember. What it keeps must stay within its bounds. */
export const distinctJtis: Attack = async (target) => {
  const results = new ResultCollector();
  const connections = times(target, PER_SECOND * SECONDS) / REQUESTS_PER_CONNECTION;
  const intervalMs = (1_000 * REQUESTS_PER_CONNECTION) / PER_SECOND;
  const startedAt = performance.now();
  await inParallel(connections, CONNECTIONS, async (index) => {
    const waitMs = startedAt + index * intervalMs - performance.now();
    if (waitMs > 0) await delay(waitMs);
    await postNewJtis(target, results);
  });
  return results.outcome;
};
