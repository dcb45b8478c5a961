// A process with many clients whose connections break, and who come back.
import { setTimeout as sleep } from 'node:timers/promises';
import { serveProcedures } from '../../test/support/child-rpc.ts';
import { Random } from '../../test/support/random.ts';
import { planCuts } from './cut-plan.ts';
import { signExpiring } from './expiring-token.ts';
import { ReconnectingClient } from './reconnecting-client.ts';
import { createSession, type SessionKind } from './sessions.ts';

/** Well below the backlog of a listening socket, 511. */
const HANDSHAKES_IN_FLIGHT = 100;
const POLL_INTERVAL_MS = 20;

export interface ConnectClientsOptions {
  readonly session: SessionKind;
  readonly count: number;
  /** The ports of the servers. Each connection goes to any of them. */
  readonly ports: readonly number[];
  /** The channel of all. Each client gets a channel of its own, `user:0` and so on, unless given. */
  readonly channel?: string;
  /** The highest number of a message. */
  readonly maxNumber: number;
  /** Within this time a client comes back that was disconnected or refused. */
  readonly retryMs: number;
  readonly timeoutMs: number;
}

export interface PlayCutsOptions {
  /** The last cut is before this. */
  readonly durationMs: number;
  readonly maxAwayMs: number;
}

export interface AwaitNumberOptions {
  readonly number: number;
  readonly timeoutMs: number;
}

/** What the clients of a kind have seen. */
export interface ClientResults {
  readonly clients: number;
  /** Different numbers that were received, over all clients. */
  readonly received: number;
  readonly doubled: number;
  readonly disordered: number;
  readonly gaps: number;
  readonly cuts: number;
  readonly bytes: number;
}

const clientsByKind = new Map<SessionKind, ReconnectingClient[]>();
let fault: Error | undefined;

function allClients(): readonly ReconnectingClient[] {
  return [...clientsByKind.values()].flat();
}

/** Resolves when `isDone` of all clients. Rejects after a fault, or when the time is over. */
async function untilAll(
  what: string,
  timeoutMs: number,
  isDone: (client: ReconnectingClient) => boolean,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    if (fault !== undefined) throw fault;
    const missing = allClients().filter((client) => !isDone(client)).length;
    if (missing === 0) return;
    if (performance.now() > deadline) {
      throw new Error(`After ${timeoutMs} ms, ${missing} clients ${what}`);
    }
    await sleep(POLL_INTERVAL_MS);
  }
}

function isSubscribed(client: ReconnectingClient): boolean {
  return client.isSubscribed;
}

/** Of the cuts that are to come. One that came after the last broadcast would cost plain clients that one. */
const cutTimers: NodeJS.Timeout[] = [];

const procedures = {
  /** Adds clients. Resolves when all are subscribed. */
  async connect(options: ConnectClientsOptions): Promise<void> {
    const { session, count, ports, channel, maxNumber, retryMs, timeoutMs } = options;
    const clients = clientsByKind.get(session) ?? [];
    clientsByKind.set(session, clients);
    while (clients.length < count) {
      const from = clients.length;
      const next = Array.from({ length: Math.min(HANDSHAKES_IN_FLIGHT, count - from) }, (_, n) => {
        const number = from + n;
        return new ReconnectingClient({
          session: createSession(session),
          token: signExpiring({ channels: [channel ?? `user:${number}`] }),
          ports,
          maxNumber,
          random: new Random(number),
          retryMs,
          onFault: (error) => {
            fault ??= error;
          },
        });
      });
      clients.push(...next);
      for (const client of next) client.connect();
      await untilAll('are not subscribed', timeoutMs, isSubscribed);
    }
  },

  /** Begins to cut connections. The n-th client of each kind has the same cuts in every run. */
  playCuts({ durationMs, maxAwayMs }: PlayCutsOptions): void {
    for (const clients of clientsByKind.values()) {
      for (const [seed, client] of clients.entries()) {
        for (const { atMs, afterBytes, awayMs } of planCuts({ seed, durationMs, maxAwayMs })) {
          cutTimers.push(setTimeout(() => client.cut(afterBytes, awayMs), atMs));
        }
      }
    }
  },

  /** Cuts all connections at once, until `comeBack`. */
  leave(): void {
    for (const client of allClients()) client.leave();
  },

  /** Every client comes back at a random moment within this time. */
  comeBack(withinMs: number): void {
    const random = new Random(0);
    for (const client of allClients()) client.comeBack(random.fraction() * withinMs);
  },

  /** Resolves when all clients are subscribed and none will be cut any more. */
  async untilSubscribed(timeoutMs: number): Promise<void> {
    for (const timer of cutTimers) clearTimeout(timer);
    for (const client of allClients()) client.cancelCut();
    await untilAll('are not subscribed', timeoutMs, isSubscribed);
  },

  /** Resolves when every client has received this message. */
  untilReceived({ number, timeoutMs }: AwaitNumberOptions): Promise<void> {
    return untilAll(`have not received message ${number}`, timeoutMs, ({ received }) =>
      received.has(number),
    );
  },

  /** Rejects when a server did what none may do. */
  results(session: SessionKind): ClientResults {
    if (fault !== undefined) throw fault;
    const clients = clientsByKind.get(session) ?? [];
    const sum = (value: (client: ReconnectingClient) => number) =>
      clients.reduce((total, client) => total + value(client), 0);
    return {
      clients: clients.length,
      received: sum(({ received }) => received.count),
      doubled: sum(({ received }) => received.doubled),
      disordered: sum(({ received }) => received.disordered),
      gaps: sum(({ gaps }) => gaps),
      cuts: sum(({ cuts }) => cuts),
      bytes: sum(({ bytes }) => bytes),
    };
  },
};

export type ReconnectingProcedures = typeof procedures;

serveProcedures(procedures);
