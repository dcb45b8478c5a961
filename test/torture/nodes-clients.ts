// A process full of websocket clients that do nothing but listen, take notes and come back.
import { setTimeout as delay } from 'node:timers/promises';
import { channelsOf } from './nodes-channels.ts';
import { type History, type Judgement, judge, type Session } from './nodes-oracle.ts';
import { answer } from './rpc.ts';
import { HANDSHAKE, subscribe, subscribedText, TEXT, WireClient } from './wire.ts';

const LEAST_BACKOFF_MS = 100;
const MOST_BACKOFF_MS = 2_000;
/** Longer than the server's pings are apart: silence is no reason to leave. */
const PATIENCE_MS = 60_000;
const MESSAGE_START = '{"sequence":';

export interface ClientsPlan {
  /** Where the nodes listen. */
  readonly ports: readonly number[];
  readonly from: number;
  readonly to: number;
}

const sessions: Session[] = [];
let subscribed = 0;
let isOver = false;

/** Connects for ever: to its own node first, then to any that takes it. */
async function run(client: number, ports: readonly number[]): Promise<void> {
  let node = client % ports.length;
  let backoffMs = LEAST_BACKOFF_MS;
  while (!isOver) {
    const session = await live(node, ports[node] ?? 0, client);
    if (session.subscribedAt !== undefined) backoffMs = LEAST_BACKOFF_MS;
    await delay(backoffMs * (0.5 + Math.random()));
    backoffMs = Math.min(backoffMs * 2, MOST_BACKOFF_MS);
    node = Math.floor(Math.random() * ports.length);
  }
}

/** One websocket from its first packet to its last. */
async function live(node: number, port: number, client: number): Promise<Session> {
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
  const wire = new WireClient(port, { patienceMs: PATIENCE_MS });
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
  // Kept from the start, since those that are open in the end are judged too.
  sessions.push(session);
  wire.send(HANDSHAKE);
  if (await wire.upgraded()) wire.send(subscribe(channels));
  await wire.gone;
  session.closedAt ??= Date.now();
  // As a close code that no server may send, so that the oracle asks why.
  if (wire.fault !== undefined) session.closeCode = -1;
  if (session.subscribedAt !== undefined) subscribed -= 1;
  return session;
}

export const calls = {
  connect({ ports, from, to }: ClientsPlan): void {
    for (let client = from; client < to; client += 1) void run(client, ports);
  },
  /** How many are open and confirmed. */
  subscribed: (): number => subscribed,
  /** Nobody comes back from here on. */
  judge(history: History): Judgement {
    isOver = true;
    return judge(
      sessions.filter(
        ({ subscribedAt, received }) => subscribedAt !== undefined || received.length > 0,
      ),
      history,
    );
  },
  /** Whether all that are open have received this broadcast. */
  have: (sequence: number): boolean =>
    sessions.every(({ subscribedAt, closedAt, received }) => {
      const isOpen = subscribedAt !== undefined && closedAt === undefined;
      return !isOpen || received.at(-1) === sequence;
    }),
};

answer(calls);
