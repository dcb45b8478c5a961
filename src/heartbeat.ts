import { type Disconnect, disconnects } from './close-codes.ts';

/** What the heartbeat needs of a connection. */
export interface Beating {
  /** Set here when a ping goes out, cleared by the connection when its pong comes in. */
  awaitingPong: boolean;
  ping(): void;
  end(disconnect: Disconnect): void;
}

/**
 * Pings every connection on its own beat and ends those that did not answer by the next one, from one timer.
 * A wheel with a slot a second (or less) spreads them, so that their pings never fall into one turn.
 */
export class Heartbeat {
  readonly #slots: readonly Set<Beating>[];
  readonly #timer: NodeJS.Timeout;
  #now = 0;

  /** Runs until `stop`. Each connection has its first ping `intervalMs` after it was added, less a slot at most. */
  constructor(intervalMs: number) {
    const slots = Math.max(1, Math.ceil(intervalMs / 1_000));
    this.#slots = Array.from({ length: slots }, () => new Set<Beating>());
    this.#timer = setInterval(() => this.#tick(), intervalMs / slots);
  }

  /** Returns the slot to name when the connection is removed. */
  add(connection: Beating): number {
    this.#slots[this.#now]?.add(connection);
    return this.#now;
  }

  remove(connection: Beating, slot: number): void {
    this.#slots[slot]?.delete(connection);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
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
