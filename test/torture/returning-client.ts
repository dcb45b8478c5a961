import { setTimeout as delay } from 'node:timers/promises';
import type { Random } from '../support/random.ts';
import { HANDSHAKE } from './client-messages.ts';
import { type ServerFrame, WireClient } from './wire-client.ts';

const BACKOFF_MS = 200;
const IDLE_TIMEOUT_MS = 60_000;

/** The shortest and the longest, in milliseconds. */
type Times = readonly [number, number];

/** A client that cuts its connections at random and comes back to any node. */
export abstract class ReturningClient {
  /** What no server may send. */
  readonly faults: string[] = [];
  protected readonly channels: readonly string[];
  protected readonly random: Random;
  protected mayCut = true;
  /** How long a connection lives before its client cuts it. */
  protected abstract readonly lifeMs: Times;
  /** How long the client stays away after a connection. */
  protected abstract readonly absenceMs: Times;
  readonly #ports: readonly number[];
  #wire: WireClient | undefined;
  #isOver = false;

  constructor(ports: readonly number[], channels: readonly string[], random: Random) {
    this.#ports = ports;
    this.channels = channels;
    this.random = random;
  }

  /** Begins a connection: what was known of the one before does not count any more. */
  protected abstract begin(): void;

  /** The websocket is open. */
  protected abstract authenticate(wire: WireClient): void;

  protected abstract receive(frame: ServerFrame): void;

  /** The connection has ended. */
  protected end(): void {}

  /** Stays where it is from now on, unless the server ends the connection. */
  settle(): void {
    this.mayCut = false;
  }

  stop(): void {
    this.#isOver = true;
    this.cut();
  }

  protected cut(): void {
    this.#wire?.socket.destroy();
  }

  async run(): Promise<void> {
    while (!this.#isOver) {
      await this.#connect(this.random.pick(this.#ports));
      await delay(this.mayCut ? this.#between(this.absenceMs) : BACKOFF_MS);
    }
  }

  /** One connection, from the handshake to its end. */
  async #connect(port: number): Promise<void> {
    const wire = new WireClient(port, { idleTimeoutMs: IDLE_TIMEOUT_MS });
    this.#wire = wire;
    this.begin();
    wire.onFrame = (frame) => {
      // What arrived with the frame at which it is cut has been lost on its way.
      if (!wire.socket.destroyed) this.receive(frame);
    };
    const life = setTimeout(() => this.mayCut && this.cut(), this.#between(this.lifeMs));
    wire.send(HANDSHAKE);
    if (await wire.upgraded()) this.authenticate(wire);
    await wire.disconnected;
    clearTimeout(life);
    this.end();
    if (wire.fault !== undefined) this.faults.push(wire.fault);
  }

  #between([min, max]: Times): number {
    return min + this.random.fraction() * (max - min);
  }
}
