import { type Disconnect, disconnects } from './close-codes.ts';

/** What the heartbeat needs of a connection. */
export interface Beating {
  /** Set here when a ping goes out, cleared by the connection when its pong comes in. */
  awaitingPong: boolean;
  ping(): void;
  end(disconnect: Disconnect): void;
}

/**
 * Pings every connection on its own beat and ends those that did not answer by the next one. Driven by the server's
 * one timer: a wheel with a slot a tick spreads the connections, so that their pings never fall into one turn.
 */
export class Heartbeat {
  readonly #slots: readonly Set<Beating>[];
  #now = 0;

  /** Each connection has its first ping `intervalMs` after it was added, to within a tick, and then every interval. */
  constructor(intervalMs: number, tickMs: number) {
    const slots = Math.max(1, Math.round(intervalMs / tickMs));
    this.#slots = Array.from({ length: slots }, () => new Set<Beating>());
  }

  /** Returns the slot to name when the connection is removed. */
  add(connection: Beating): number {
    this.#slots[this.#now]?.add(connection);
    return this.#now;
  }

  /** Safe to call twice. */
  remove(connection: Beating, slot: number): void {
    this.#slots[slot]?.delete(connection);
  }

  tick(): void {
    this.#now = (this.#now + 1) % this.#slots.length;
    for (const connection of this.#slots[this.#now] ?? []) {
      if (connection.awaitingPong) {
        connection.end(disconnects.pingTimeout);
      } else {
        connection.awaitingPong = true;
        connection.ping();
      }
    }
  }
}
