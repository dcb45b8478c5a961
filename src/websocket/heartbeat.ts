import { type Disconnect, disconnects } from '../protocol/close-codes.ts';
import { type TimeSource, Wheel } from './timer-wheel.ts';

/** What the heartbeat needs of a connection. */
export interface Beating {
  /** Set here when a ping goes out, cleared by the connection when its pong comes in. */
  awaitingPong: boolean;
  /** The slot of its next beat. Kept here by the heartbeat, for nobody else to touch. */
  beat: number;
  /** True while nothing is read of it, so that its pong may have come and not be known. */
  readonly isPaused: boolean;
  ping(): void;
  end(disconnect: Disconnect): void;
}

/** Pings every connection on its own beat and ends those that did not answer by the next one. */
export class Heartbeat {
  readonly #intervalMs: number;
  // Each has its own beat from the moment it was added, so that their pings never fall into one turn.
  readonly #wheel: Wheel<Beating>;

  constructor(intervalMs: number, tickMs: number, clock: TimeSource) {
    this.#intervalMs = intervalMs;
    this.#wheel = new Wheel(tickMs, clock, (connection) => this.#beat(connection));
  }

  /** The connection has its first ping an interval from now, to within a tick, and then every interval. */
  add(connection: Beating): void {
    connection.beat = this.#wheel.set(connection, this.#intervalMs);
  }

  /** Safe to call twice. */
  remove(connection: Beating): void {
    this.#wheel.clear(connection, connection.beat);
  }

  tick(): void {
    this.#wheel.tick();
  }

  #beat(connection: Beating): void {
    // One that is paused is pinged all the same: if its peer has gone, the kernel finds out by what it cannot deliver.
    if (connection.awaitingPong && !connection.isPaused) {
      connection.end(disconnects.pingTimeout);
      return;
    }
    connection.awaitingPong = true;
    connection.ping();
    this.add(connection);
  }
}
