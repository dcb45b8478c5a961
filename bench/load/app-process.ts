// A program of an app: it sends a message of its own to each of many users, in one of the ways in which apps do that.
import { createSecretKey } from 'node:crypto';
import jwt from 'jsonwebtoken';
import { BifrostPublisher } from '../../src/publisher/index.ts';
import { serveProcedures } from '../../test/support/child-rpc.ts';
import { SECRET } from '../../test/support/tokens.ts';
import { createMessage } from './message.ts';

/** `publisher`: a call for each user, all at once. `fetch`: a request for each user, so many at a time. */
export type SendingMethod = { readonly kind: 'publisher' } | FetchMethod;

interface FetchMethod {
  readonly kind: 'fetch';
  readonly inFlight: number;
}

export interface SendOptions {
  /** Of the server. */
  readonly port: number;
  readonly users: number;
  readonly method: SendingMethod;
}

export interface SentMessages {
  /** When the first was sent and when the last was answered, in nanoseconds of the machine's monotonic clock. */
  readonly startedAtNs: number;
  readonly answeredAtNs: number;
  /** User and system time of this process in between. */
  readonly cpuSeconds: number;
}

/** Resolves to how many subscribers had the message. */
type Send = (channel: string, message: object) => Promise<number | undefined>;

/** As the README shows it. */
function createFetchSender(url: string): Send {
  const secret = createSecretKey(SECRET, 'utf8');
  return async (channel, message) => {
    const claims = { channel, message };
    const token = jwt.sign(claims, secret, { algorithm: 'HS512', expiresIn: 60 });
    const response = await fetch(`${url}/broadcast`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ token }),
      signal: AbortSignal.timeout(5_000),
    });
    const answer = (await response.json()) as { deliveries: number; error?: string };
    if (!response.ok) throw new Error(`Bifröst: ${answer.error}`);
    return answer.deliveries;
  };
}

function createPublisherSender(url: string): Send {
  const { publish } = new BifrostPublisher({ url, secret: SECRET });
  return async (channel, message) => (await publish(channel, message)).deliveries;
}

/** Rejects unless the user is subscribed once. */
async function sendToUser(send: Send, user: number): Promise<void> {
  const deliveries = await send(`user:${user}`, createMessage(user, 'small') as object);
  if (deliveries !== 1) throw new Error(`Expected 1 delivery to user ${user}, got ${deliveries}`);
}

async function sendInFlight(send: Send, users: number, inFlight: number): Promise<void> {
  let next = 0;
  const loop = async () => {
    while (next < users) await sendToUser(send, next++);
  };
  await Promise.all(Array.from({ length: inFlight }, loop));
}

const procedures = {
  /** Sends a message to each user from `user:0` on. Resolves when all are answered, rejects when one is refused. */
  async send({ port, users, method }: SendOptions): Promise<SentMessages> {
    const url = `http://127.0.0.1:${port}`;
    const cpuBefore = process.cpuUsage();
    const startedAtNs = Number(process.hrtime.bigint());
    if (method.kind === 'publisher') {
      const send = createPublisherSender(url);
      await Promise.all(Array.from({ length: users }, (_, user) => sendToUser(send, user)));
    } else {
      await sendInFlight(createFetchSender(url), users, method.inFlight);
    }
    const answeredAtNs = Number(process.hrtime.bigint());
    const { user, system } = process.cpuUsage(cpuBefore);
    return { startedAtNs, answeredAtNs, cpuSeconds: (user + system) / 1e6 };
  },
};

export type AppProcedures = typeof procedures;

serveProcedures(procedures);
