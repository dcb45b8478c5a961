import { disconnects } from '../protocol/close-codes.ts';
import type { Connection } from './connection.ts';
import { TimerWheel, type TimeSource } from './timer-wheel.ts';

/** The part of a connection that the heartbeat uses. */
export type PingedConnection = Pick<
  Connection,
  'awaitingPong' | 'heartbeatSlot' | 'isPaused' | 'ping' | 'end'
>;

/** Pings every connection at a fixed interval and ends those that have not answered the last ping by then. */
export class Heartbeat {
  readonly #intervalMs: number;
  // Each interval starts when its connection was added, so that the pings of all never fall into one turn.
  readonly #wheel: TimerWheel<PingedConnection>;

  constructor(intervalMs: number, tickMs: number, clock: TimeSource) {
    this.#intervalMs = intervalMs;
    this.#wheel = new TimerWheel(tickMs, clock, (connection) => this.#beat(connection));
  }

  /** The first ping is sent one interval from now, exact to a tick. */
  add(connection: PingedConnection): void {
    connection.heartbeatSlot = this.#wheel.set(connection, this.#intervalMs);
  }

  /** Safe to call twice. */
  remove(connection: PingedConnection): void {
    this.#wheel.clear(connection, connection.heartbeatSlot);
  }

  tick(): void {
    this.#wheel.tick();
  }

  #beat(connection: PingedConnection): void {
    // The pong of a paused connection may be waiting unread. It is pinged nevertheless: if the peer is gone, the kernel
    // notices that the ping cannot be delivered and ends the connection.
    if (connection.awaitingPong && !connection.isPaused) {
      connection.end(disconnects.pingTimeout);
      return;
    }
    connection.awaitingPong = true;
    connection.ping();
    this.add(connection);
  }
}
