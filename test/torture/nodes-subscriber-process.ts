// A process of websocket clients that record what they receive, and reconnect whenever they are disconnected.
import { setTimeout as delay } from 'node:timers/promises';
import { serveProcedures } from '../support/child-rpc.ts';
import { HANDSHAKE, subscribe, subscribedText } from './client-messages.ts';
import { channelsOf } from './nodes-channels.ts';
import { checkSessions, type History, type Session, type Verdict } from './nodes-oracle.ts';
import { TEXT, WireClient } from './wire-client.ts';

const MIN_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 2_000;
/** Longer than the interval of the server's pings, so that no client leaves because of silence. */
const IDLE_TIMEOUT_MS = 60_000;
const MESSAGE_START = '{"sequence":';

export interface ConnectOptions {
  /** Of the nodes, in their order. */
  readonly ports: readonly number[];
  /** The number of the first client. */
  readonly from: number;
  /** The number after that of the last client. */
  readonly to: number;
}

const sessions: Session[] = [];
let subscribed = 0;
let isOver = false;

/** Connects again and again: to a node of its own first, then to random ones. */
async function runClient(client: number, ports: readonly number[]): Promise<void> {
  let node = client % ports.length;
  let backoffMs = MIN_BACKOFF_MS;
  while (!isOver) {
    const session = await runSession(node, ports[node] ?? 0, client);
    if (session.subscribedAt !== undefined) backoffMs = MIN_BACKOFF_MS;
    await delay(backoffMs * (0.5 + Math.random()));
    backoffMs = Math.min(backoffMs * 2, MAX_BACKOFF_MS);
    node = Math.floor(Math.random() * ports.length);
  }
}

/** Resolves when the websocket has closed. */
async function runSession(node: number, port: number, client: number): Promise<Session> {
  const channels = channelsOf(client);
  const expected = channels.map(subscribedText);
  const session: Session = {
    node,
    channels,
    connectedAt: Date.now(),
    subscribedAt: undefined,
    closedAt: undefined,
    closeCode: undefined,
    received: [],
  };
  const wire = new WireClient(port, { idleTimeoutMs: IDLE_TIMEOUT_MS });
  wire.onFrame = ({ opcode, payload }) => {
    const text = opcode === TEXT ? payload.toString() : '';
    if (text.startsWith(MESSAGE_START)) {
      session.received.push(Number.parseInt(text.slice(MESSAGE_START.length), 10));
    } else if (text === expected[0]) {
      expected.shift();
      if (expected.length > 0) return;
      session.subscribedAt = Date.now();
      subscribed += 1;
    } else {
      wire.fault ??= `unexpected ${text}`;
      wire.socket.destroy();
    }
  };
  wire.onClose = () => {
    session.closeCode = wire.close?.code;
    session.closedAt = Date.now();
  };
  // Added at the start, because sessions that are open in the end are checked too.
  sessions.push(session);
  wire.send(HANDSHAKE);
  if (await wire.upgraded()) wire.send(subscribe(channels));
  await wire.disconnected;
  session.closedAt ??= Date.now();
  // A code that no server may send, so that the oracle finds no explanation.
  if (wire.fault !== undefined) session.closeCode = -1;
  if (session.subscribedAt !== undefined) subscribed -= 1;
  return session;
}

const procedures = {
  connect({ ports, from, to }: ConnectOptions): void {
    for (let client = from; client < to; client += 1) void runClient(client, ports);
  },

  /** How many clients are open and confirmed. */
  countSubscribed: (): number => subscribed,

  /** Whether this broadcast is the last that all open clients received. */
  haveReceived: (sequence: number): boolean =>
    sessions.every(({ subscribedAt, closedAt, received }) => {
      const isOpen = subscribedAt !== undefined && closedAt === undefined;
      return !isOpen || received.at(-1) === sequence;
    }),

  /** Ends all reconnecting. */
  checkSessions(history: History): Verdict {
    isOver = true;
    const relevant = sessions.filter(
      ({ subscribedAt, received }) => subscribedAt !== undefined || received.length > 0,
    );
    return checkSessions(relevant, history);
  },
};

export type SubscriberProcedures = typeof procedures;
serveProcedures(procedures);
