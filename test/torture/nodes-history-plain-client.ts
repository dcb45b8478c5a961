import { setTimeout as delay } from 'node:timers/promises';
import type { Random } from '../support/random.ts';
import { HANDSHAKE, subscribe, subscribedText } from './client-messages.ts';
import { TEXT, WireClient } from './wire-client.ts';

const LIFE_MS = [500, 4_000] as const;
const BACKOFF_MS = 200;
const IDLE_TIMEOUT_MS = 60_000;
const MESSAGE = /^\{"sequence":(\d+)\}$/;

/** A client that asks for no positions, beside those who do: it must see the bytes that it always saw. */
export class PlainClient {
  readonly faults: string[] = [];
  /** Messages that came twice to one connection. */
  doubled = 0;
  readonly #ports: readonly number[];
  readonly #channels: readonly string[];
  readonly #random: Random;
  #wire: WireClient | undefined;
  #mayCut = true;
  #isOver = false;

  constructor(ports: readonly number[], channels: readonly string[], random: Random) {
    this.#ports = ports;
    this.#channels = channels;
    this.#random = random;
  }

  /** Stays where it is from now on, unless the server ends the connection. */
  settle(): void {
    this.#mayCut = false;
  }

  stop(): void {
    this.#isOver = true;
    this.#wire?.socket.destroy();
  }

  async run(): Promise<void> {
    while (!this.#isOver) {
      await this.#connect(this.#random.pick(this.#ports));
      await delay(BACKOFF_MS);
    }
  }

  async #connect(port: number): Promise<void> {
    const wire = new WireClient(port, { idleTimeoutMs: IDLE_TIMEOUT_MS });
    this.#wire = wire;
    const expected = this.#channels.map(subscribedText);
    const received = new Set<string>();
    wire.onFrame = ({ opcode, payload }) => {
      if (opcode !== TEXT) return;
      const text = payload.toString();
      if (text === expected[0]) expected.shift();
      else if (!MESSAGE.test(text)) this.faults.push(`unexpected ${text}`);
      else if (received.has(text)) this.doubled += 1;
      else received.add(text);
    };
    const [min, max] = LIFE_MS;
    const life = setTimeout(
      () => {
        if (this.#mayCut) wire.socket.destroy();
      },
      min + this.#random.fraction() * (max - min),
    );
    wire.send(HANDSHAKE);
    if (await wire.upgraded()) wire.send(subscribe(this.#channels));
    await wire.disconnected;
    clearTimeout(life);
    if (wire.fault !== undefined) this.faults.push(wire.fault);
  }
}
