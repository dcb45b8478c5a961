import { setImmediate } from 'node:timers/promises';
import type { Config } from '../config/config.ts';
import { HttpError } from '../http/http-error.ts';
import { type CountedCode, type Disconnect, disconnects } from '../protocol/close-codes.ts';
import { DisconnectLog, type EndedConnection } from '../telemetry/disconnect-log.ts';
import type { Log } from '../telemetry/log.ts';
import type { Authentication } from './authentication.ts';
import { Clock } from './clock.ts';
import type { Connection } from './connection.ts';
import { spreadOver } from './drain.ts';
import { Heartbeat } from './heartbeat.ts';
import { TimerWheel } from './timer-wheel.ts';

/** How exact pings and timeouts are. One timer drives them all. */
const TICK_MS = 100;
/** How many event-loop turns to wait for the close events of websockets whose TCP connections are gone. */
const MAX_CLOSE_TURNS = 1_000;

/** The websockets of a server, from their upgrade to their close event, and their timers. */
export class Connections {
  readonly heartbeat: Heartbeat;
  /** Connections that have not authenticated yet. */
  readonly authenticationTimeouts: TimerWheel<Authentication>;
  /** Connections whose tokens expire. Measured by the wall clock, as `exp` is. */
  readonly tokenExpiries: TimerWheel<Authentication>;
  readonly #config: Config;
  readonly #log: Log;
  readonly #disconnectLog: DisconnectLog;
  readonly #clock = new Clock(TICK_MS);
  readonly #all = new Set<Connection>();
  /** Those that are suspended, and not closed yet. */
  readonly #suspended = new Set<Connection>();
  #isDraining = false;
  #stopClock = () => {};

  constructor(config: Config, log: Log) {
    this.#config = config;
    this.#log = log;
    this.#disconnectLog = new DisconnectLog(log);
    const clock = this.#clock;
    const wallClock = { now: () => Date.now() };
    this.heartbeat = new Heartbeat(config.pingIntervalMs, TICK_MS, clock);
    this.authenticationTimeouts = new TimerWheel(TICK_MS, clock, (each) => each.timeOut());
    this.tokenExpiries = new TimerWheel(TICK_MS, wallClock, (each) => each.expire());
  }

  /** Every connection whose close event has not been emitted yet. */
  get all(): ReadonlySet<Connection> {
    return this.#all;
  }

  /** True once `drain` has been called. */
  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** Throws an `HttpError` when no further websocket may be opened now. */
  admit(): void {
    if (this.#isDraining) {
      throw new HttpError(503, 'Server shutting down', { 'Retry-After': '1' });
    }
    const { maxConnections } = this.#config;
    if (maxConnections > 0 && this.#all.size >= maxConnections) {
      throw new HttpError(503, 'Too many connections', { 'Retry-After': '5' });
    }
  }

  /** Adds a connection and starts its heartbeat. */
  add(connection: Connection): void {
    this.#all.add(connection);
    this.heartbeat.add(connection);
  }

  /** Removes a connection whose websocket has closed, and logs its end. */
  remove(connection: Connection, code: CountedCode, ended: EndedConnection): void {
    this.#all.delete(connection);
    this.#suspended.delete(connection);
    this.#disconnectLog.add(code, connection.isAuthenticated, ended);
  }

  /** Starts the timers, which `finish` stops. `onTick` is called ten times a second as well. */
  start(onTick: () => void): void {
    this.#stopClock = this.#clock.start(() => {
      this.heartbeat.tick();
      this.authenticationTimeouts.tick();
      this.tokenExpiries.tick();
      this.#disconnectLog.tick();
      onTick();
    });
  }

  /** Ends all connections, those that are suspended in their own time. */
  endAll(disconnect: Disconnect): void {
    for (const connection of this.#all) if (!connection.isSuspended) connection.end(disconnect);
  }

  /** Cuts all connections off without a close frame. */
  cutAll(): void {
    for (const connection of this.#all) connection.cut();
  }

  /**
   * To be called in the step in which broadcasts are lost: nothing more is sent to positioned connections, and they are
   * ended, spread over the drain window, so that they come back and recover.
   */
  suspendPositioned(): void {
    for (const connection of this.#all) {
      if (!connection.isPositioned) continue;
      connection.suspend();
      this.#suspended.add(connection);
    }
    void spreadOver(this.#suspended, this.#config.drainMs, (connection) => {
      connection.end(disconnects.brokerLost);
    });
  }

  /** Admits no more websockets, and ends all connections spread over the drain window. Resolves after the last end. */
  async drain(): Promise<void> {
    this.#isDraining = true;
    const { drainMs } = this.#config;
    this.#log.info({ connections: this.#all.size, seconds: drainMs / 1_000 }, 'draining');
    this.#disconnectLog.drain();
    await spreadOver(this.#all, drainMs, (connection) => connection.end(disconnects.shuttingDown));
  }

  /** Stops the timers and logs the last disconnects. To be called when all TCP connections are gone. */
  async finish(): Promise<void> {
    // ws emits 'close' a few event-loop turns after the TCP socket is destroyed. Wait for those events so that every
    // disconnect is logged.
    for (let turn = 0; turn < MAX_CLOSE_TURNS && this.#all.size > 0; turn += 1) {
      await setImmediate();
    }
    this.#stopClock();
    this.#disconnectLog.flush();
  }
}
