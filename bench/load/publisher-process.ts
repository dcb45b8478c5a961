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
}

/**
 * `inFlight` is a closed loop: this many broadcasts at a time are not yet both answered and delivered to every
 * subscriber. The answer alone is not enough: a server may send it before it delivers, and more would be in flight.
 * `perSecond` is an open loop: this many a second, however long the server takes.
 */
export type Pace = { readonly inFlight: number } | { readonly perSecond: number };

export interface PostOptions {
  readonly broadcasts: number;
  readonly pace: Pace;
  /** How many deliveries each answer must report. */
  readonly subscribers: number;
}

let requests: Buffer[] = [];
let expectedReply = '';
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
  if (!reply.startsWith('HTTP/1.1 200 ') || !reply.endsWith(expectedReply)) {
    throw new Error(`Expected 200 and ${expectedReply}, got: ${reply}`);
  }
}

async function postInFlight(inFlight: number, postedAtNs: Float64Array): Promise<void> {
  const before = posts;
  const loop = async () => {
    const connection = takeConnection();
    while (posts - before < postedAtNs.length) {
      postedAtNs[posts - before] = Number(process.hrtime.bigint());
      await Promise.all([postNext(connection), acks.received(posts)]);
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

const procedures = {
  /**
   * Signs and encodes all requests, so that this takes no CPU while the server is measured. Resolves to the port on
   * which the subscriber process acknowledges broadcasts.
   */
  prepare(options: PrepareOptions): Promise<number> {
    const { channel, message, broadcasts } = options;
    ports = options.ports;
    requests = Array.from({ length: broadcasts }, (_, number) => {
      const token = signExpiring({ channel, message: createMessage(number, message) });
      const body = JSON.stringify({ token });
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
    });
    return acks.listen();
  },

  /**
   * Posts prepared broadcasts. Resolves when all are answered, to the time when each was posted in nanoseconds of the
   * machine's monotonic clock.
   */
  async post({ broadcasts, pace, subscribers }: PostOptions): Promise<Float64Array> {
    expectedReply = JSON.stringify({ message: 'Success', deliveries: subscribers });
    const postedAtNs = new Float64Array(broadcasts);
    if ('inFlight' in pace) await postInFlight(pace.inFlight, postedAtNs);
    else await postAtRate(pace.perSecond, postedAtNs);
    return postedAtNs;
  },
};

export type PublisherProcedures = typeof procedures;

serveProcedures(procedures);
