import { endChild } from '../test/support/child-cleanup.ts';
import type { CallChild } from '../test/support/child-rpc.ts';
import type { Figures } from './figures.ts';
import { createNumberedMessage } from './load/numbered-message.ts';
import type { ClientResults, ReconnectingProcedures } from './load/reconnecting-process.ts';
import type { SessionKind } from './load/sessions.ts';
import { publish, publishNumbered } from './numbered-publisher.ts';
import { startLoadGenerator } from './testbed.ts';

const CHANNEL = 'bench';
const MESSAGE_BYTES = 128;
/** Longer than any client stays away. */
const TIMEOUT_MS = 60_000;

/** Clients whose connections break while messages are posted. */
export interface ReconnectingRun {
  /** How many clients of each kind. */
  readonly clients: readonly (readonly [SessionKind, number])[];
  /** Of the servers. */
  readonly ports: readonly number[];
  readonly messages: number;
  readonly intervalMs: number;
  /** Within this time a client comes back that was disconnected or refused by a server. */
  readonly retryMs: number;
  /** Breaks connections, or stops servers, while the messages are posted. */
  disturb(callClients: CallChild<ReconnectingProcedures>): Promise<void>;
}

/** How much arrived of so many messages and the one behind them, which everyone has and which is not counted. */
export function computeFigures({ received, clients, ...results }: ClientResults, messages: number) {
  return {
    receivedPercent: ((received - clients) / (clients * messages)) * 100,
    missing: clients * messages - (received - clients),
    ...results,
    cutsPerClient: results.cuts / clients,
  } satisfies Figures;
}

type ArrivalFigures = ReturnType<typeof computeFigures>;

/** `lateMs` is how long after its time the last message was answered. */
type ReconnectingFigures = ArrivalFigures & { readonly lateMs: number };

/** Resolves to the figures of each kind of clients when all are back and have all that they will get. */
export async function runReconnecting(
  run: ReconnectingRun,
): Promise<Readonly<Record<SessionKind, ReconnectingFigures>>> {
  const { clients, ports, messages, intervalMs, retryMs } = run;
  const { child, call } = startLoadGenerator<ReconnectingProcedures>('reconnecting-process');
  try {
    const maxNumber = messages + 1;
    for (const [session, count] of clients) {
      const options = { session, count, ports, channel: CHANNEL, maxNumber, retryMs };
      await call('connect', { ...options, timeoutMs: TIMEOUT_MS });
    }
    const posts = { ports, channel: CHANNEL, messageBytes: MESSAGE_BYTES };
    const [lateMs] = await Promise.all([
      publishNumbered({ ...posts, messages, intervalMs }),
      run.disturb(call),
    ]);
    await call('untilSubscribed', TIMEOUT_MS);
    // Messages keep their order: who has the last one has all that ever comes.
    const message = createNumberedMessage(maxNumber, MESSAGE_BYTES);
    await publish(ports, { channel: CHANNEL, message });
    await call('untilReceived', { number: maxNumber, timeoutMs: TIMEOUT_MS });
    const figures = await Promise.all(
      clients.map(async ([session]) => [
        session,
        { ...computeFigures(await call('results', session), messages), lateMs },
      ]),
    );
    return Object.fromEntries(figures) as Record<SessionKind, ReconnectingFigures>;
  } finally {
    await endChild(child, 'SIGKILL');
  }
}

/** Throws unless every client received every message once and in order, and was never told that something is lost. */
export function checkRecovered(title: string, figures: ArrivalFigures): void {
  const { missing, doubled, disordered, gaps } = figures;
  if (missing === 0 && doubled === 0 && disordered === 0 && gaps === 0) return;
  throw new Error(
    `${title}: ${missing} messages are missing, ${doubled} came twice, ${disordered} out of order, and ${gaps} times the server could not recover`,
  );
}
