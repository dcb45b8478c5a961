// A process of websocket clients, half of which ask for positions and come back with them.
import { serveProcedures } from '../support/child-rpc.ts';
import { Random } from '../support/random.ts';
import { channelsOf } from './nodes-channels.ts';
import { HistoryClient } from './nodes-history-client.ts';
import { checkClients, type HistoryVerdict } from './nodes-history-oracle.ts';
import { PlainClient } from './nodes-history-plain-client.ts';
import type { Posted } from './nodes-oracle.ts';

export interface HistoryConnectOptions {
  /** Of the nodes. */
  readonly ports: readonly number[];
  /** How many clients, the plain half included. */
  readonly count: number;
  readonly seed: number;
}

export interface HistoryReport {
  readonly verdict: HistoryVerdict;
  readonly connections: number;
  readonly replayed: number;
  readonly received: number;
  /** Messages that came twice to a plain client. */
  readonly doubledPlain: number;
  readonly faults: readonly string[];
}

let positioned: HistoryClient[] = [];
let plain: PlainClient[] = [];

const procedures = {
  connect({ ports, count, seed }: HistoryConnectOptions): void {
    positioned = Array.from(
      { length: count / 2 },
      (_, n) => new HistoryClient(ports, channelsOf(n), new Random(seed + n)),
    );
    plain = Array.from(
      { length: count / 2 },
      (_, n) => new PlainClient(ports, channelsOf(n), new Random(seed - 1 - n)),
    );
    for (const client of [...positioned, ...plain]) void client.run();
  },

  /** From now on nobody is cut off any more. */
  settle(): void {
    for (const client of [...positioned, ...plain]) client.settle();
  },

  /** Whether all positioned clients received this message last. */
  haveReceived: (sequence: number): boolean =>
    positioned.every((client) => client.hasReceived(sequence)),

  /** Ends all clients. */
  report({ posted, mayForget }: { posted: readonly Posted[]; mayForget: boolean }): HistoryReport {
    const clients = [...positioned, ...plain];
    for (const client of clients) client.stop();
    const events = positioned.map((client) => client.events);
    const sum = (of: (client: HistoryClient) => number) =>
      positioned.reduce((total, client) => total + of(client), 0);
    return {
      verdict: checkClients(events, posted, mayForget),
      connections: sum(({ connections }) => connections),
      replayed: sum(({ replayed }) => replayed),
      received: events.flat().filter(({ kind }) => kind === 'message').length,
      doubledPlain: plain.reduce((total, { doubled }) => total + doubled, 0),
      faults: clients.flatMap(({ faults }) => faults),
    };
  },
};

export type HistoryClientProcedures = typeof procedures;
serveProcedures(procedures);
