import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { signExpiring } from './load/expiring-token.ts';
import { createNumberedMessage } from './load/numbered-message.ts';

/** Faults of a connection on which no server has read the request: it is being started or stopped. */
const RETRIED_ERRORS = ['ECONNREFUSED', 'ECONNRESET'];
const RETRY_MS = 20;
const TIMEOUT_MS = 30_000;

interface Answer {
  readonly status: number | undefined;
  readonly body: string;
}

async function post(port: number, body: string): Promise<Answer> {
  const call = request({
    port,
    host: '127.0.0.1',
    path: '/broadcast',
    method: 'POST',
    // A connection of its own: one that is kept may be closed by the server while the request is on its way.
    agent: false,
    headers: { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) },
  }).end(body);
  const [response] = (await once(call, 'response')) as [IncomingMessage];
  return { status: response.statusCode, body: await text(response) };
}

/**
 * Posts claims, to one port after the other. Resolves when one answers 200, to the deliveries that it counted; rejects when
 * one refuses them.
 */
export async function publish(
  ports: readonly number[],
  claims: Readonly<Record<string, unknown>>,
): Promise<number> {
  const body = JSON.stringify({ token: signExpiring(claims) });
  const deadline = performance.now() + TIMEOUT_MS;
  for (let attempt = 0; ; attempt++) {
    const answer = await post(ports[attempt % ports.length] ?? 0, body).catch(
      (error: NodeJS.ErrnoException) => {
        if (!RETRIED_ERRORS.includes(error.code ?? '')) throw error;
      },
    );
    if (answer?.status === 200) {
      return (JSON.parse(answer.body) as { deliveries: number }).deliveries;
    }
    if (answer !== undefined && answer.status !== 503) {
      throw new Error(`A broadcast was answered ${answer.status} ${answer.body}`);
    }
    if (performance.now() > deadline) {
      throw new Error(`No server took a broadcast within ${TIMEOUT_MS} ms`);
    }
    await sleep(RETRY_MS);
  }
}

export interface PublishNumberedOptions {
  /** The ports of the servers, which are posted to in turn; another one when one is away. */
  readonly ports: readonly number[];
  readonly channel: string;
  readonly messages: number;
  readonly messageBytes: number;
  readonly intervalMs: number;
}

/**
 * Posts the messages from 1 on, one after the other at fixed times. Resolves when all are answered, to how late the last
 * one was, in milliseconds.
 */
export async function publishNumbered(options: PublishNumberedOptions): Promise<number> {
  const { ports, channel, messages, messageBytes, intervalMs } = options;
  const start = performance.now();
  for (let number = 1; number <= messages; number++) {
    const wait = start + (number - 1) * intervalMs - performance.now();
    if (wait > 0) await sleep(wait);
    const first = number % ports.length;
    const order = [...ports.slice(first), ...ports.slice(0, first)];
    await publish(order, { channel, message: createNumberedMessage(number, messageBytes) });
  }
  return performance.now() - start - (messages - 1) * intervalMs;
}
