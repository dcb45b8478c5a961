// A process that posts broadcasts. It must use less CPU than the server it measures.
import { setTimeout as sleep } from 'node:timers/promises';
import { serveProcedures } from '../../test/support/child-rpc.ts';
import { DeliveryAckReceiver } from './delivery-acks.ts';
import { signExpiring } from './expiring-token.ts';
import { createMessage, type MessageKind } from './message.ts';
import { PostConnection } from './post-connection.ts';

export interface PrepareOptions {
  /** The ports of the servers, which get connections in turn. */
  readonly ports: readonly number[];
  readonly channel: string;
  readonly message: MessageKind;
  /** How many will be posted in all. */
  readonly broadcasts: number;
  /** How many travel in one request. Each is a request of its own, in the single form, unless given. */
  readonly batchSize?: number | undefined;
}

/**
 * `inFlight` is a closed loop: this many requests at a time are not yet both answered and delivered to every
 * subscriber. The answer alone is not enough: a server may send it before it delivers, and more would be in flight.
 * `perSecond` is an open loop: this many a second, however long the server takes.
 */
export type Pace = { readonly inFlight: number } | { readonly perSecond: number };

export interface PostOptions {
  /** A multiple of the batch size. */
  readonly broadcasts: number;
  readonly pace: Pace;
  /** How many deliveries of each broadcast the answers must report. */
  readonly subscribers: number;
}

let requests: Buffer[] = [];
let batchSize: number | undefined;
let expectedAnswer = '';
let ports: readonly number[] = [];
let connections = 0;
const idle: PostConnection[] = [];
const acks = new DeliveryAckReceiver();
let posts = 0;

/** An idle connection, or a new one to the next server. */
function takeConnection(): PostConnection {
  let connection = idle.pop();
  // Servers close connections that have been idle for some seconds.
  while (connection?.isOpen === false) connection = idle.pop();
  return connection ?? new PostConnection(ports[connections++ % ports.length] ?? 0);
}

/** Posts the next request. Resolves when it is answered, rejects unless as expected. */
async function postNext(connection: PostConnection): Promise<void> {
  const request = requests.pop();
  if (request === undefined) throw new Error('More posts than were prepared');
  posts++;
  const reply = await connection.post(request);
  if (!reply.startsWith('HTTP/1.1 200 ') || !reply.includes(expectedAnswer)) {
    throw new Error(`Expected 200 and ${expectedAnswer}, got: ${reply}`);
  }
}

async function postInFlight(inFlight: number, postedAtNs: Float64Array): Promise<void> {
  const before = posts;
  const loop = async () => {
    const connection = takeConnection();
    while (posts - before < postedAtNs.length) {
      postedAtNs[posts - before] = Number(process.hrtime.bigint());
      await Promise.all([postNext(connection), acks.received(posts * (batchSize ?? 1))]);
    }
    idle.push(connection);
  };
  await Promise.all(Array.from({ length: inFlight }, loop));
}

async function postAtRate(perSecond: number, postedAtNs: Float64Array): Promise<void> {
  const start = performance.now();
  const pending: Promise<void>[] = [];
  for (let i = 0; i < postedAtNs.length; i++) {
    const wait = start + (i * 1_000) / perSecond - performance.now();
    if (wait > 0) await sleep(wait);
    const connection = takeConnection();
    postedAtNs[i] = Number(process.hrtime.bigint());
    const post = postNext(connection).then(() => void idle.push(connection));
    // It is awaited below. Until then a rejection must not end the process.
    post.catch(() => {});
    pending.push(post);
  }
  await Promise.all(pending);
}

/** The claims of the request with this number. */
function createClaims(number: number, { channel, message }: PrepareOptions) {
  if (batchSize === undefined) return { channel, message: createMessage(number, message) };
  const first = number * batchSize;
  return {
    broadcasts: Array.from({ length: batchSize }, (_, index) => ({
      channel,
      message: createMessage(first + index, message),
    })),
  };
}

function encodeRequest(claims: Readonly<Record<string, unknown>>): Buffer {
  const body = JSON.stringify({ token: signExpiring(claims) });
  return Buffer.from(
    [
      'POST /broadcast HTTP/1.1',
      'Host: 127.0.0.1',
      'Content-Type: application/json',
      `Content-Length: ${body.length}`,
      '',
      body,
    ].join('\r\n'),
  );
}

/** What an answer must contain. A batch's may have further members behind it. */
function createExpectedAnswer(subscribers: number): string {
  if (batchSize === undefined) {
    return JSON.stringify({ message: 'Success', deliveries: subscribers });
  }
  const results = Array.from({ length: batchSize }, () => ({ deliveries: subscribers }));
  const deliveries = subscribers * batchSize;
  return JSON.stringify({ message: 'Success', deliveries, results }).slice(0, -1);
}

const procedures = {
  /**
   * Signs and encodes all requests, so that this takes no CPU while the server is measured. Resolves to the port on
   * which the subscriber process acknowledges broadcasts.
   */
  prepare(options: PrepareOptions): Promise<number> {
    ({ ports, batchSize } = options);
    requests = Array.from({ length: options.broadcasts / (batchSize ?? 1) }, (_, number) =>
      encodeRequest(createClaims(number, options)),
    );
    return acks.listen();
  },

  /**
   * Posts prepared broadcasts. Resolves when all are answered, to the time when each request was posted in nanoseconds of
   * the machine's monotonic clock.
   */
  async post({ broadcasts, pace, subscribers }: PostOptions): Promise<Float64Array> {
    expectedAnswer = createExpectedAnswer(subscribers);
    const postedAtNs = new Float64Array(broadcasts / (batchSize ?? 1));
    if ('inFlight' in pace) await postInFlight(pace.inFlight, postedAtNs);
    else await postAtRate(pace.perSecond, postedAtNs);
    return postedAtNs;
  },
};

export type PublisherProcedures = typeof procedures;

serveProcedures(procedures);
