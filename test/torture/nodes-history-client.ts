import { setTimeout as delay } from 'node:timers/promises';
import { clientFrame } from '../support/client-frame.ts';
import type { Random } from '../support/random.ts';
import { sign } from '../support/tokens.ts';
import { HANDSHAKE, PING_MESSAGE } from './client-messages.ts';
import type { ClientEvent } from './nodes-history-oracle.ts';
import { TEXT, WireClient } from './wire-client.ts';

/** How long a connection lives before its client cuts it, and how long the client stays away. */
const LIFE_MS = [50, 4_000] as const;
const ABSENCE_MS = [0, 1_500] as const;
const BACKOFF_MS = 200;
const PING_INTERVAL_MS = 700;
/** Of the connections, so many are cut behind one of their first frames, whatever has arrived beside it. */
const EARLY_CUTS = 0.5;
const EARLY_FRAMES = 30;
const IDLE_TIMEOUT_MS = 60_000;

interface Frame {
  readonly event: string;
  readonly channel?: string;
  readonly position?: string;
  readonly data?: unknown;
}

/** A client that keeps its position, is cut off at random, and comes back to any node. */
export class HistoryClient {
  readonly events: ClientEvent[] = [];
  connections = 0;
  /** What no server may send. */
  faults: string[] = [];
  replayed = 0;
  readonly #ports: readonly number[];
  readonly #channels: readonly string[];
  readonly #random: Random;
  #position: string | null = null;
  #wire: WireClient | undefined;
  #confirmed = 0;
  /** The channels of this connection on which something may be missing. */
  #gaps: string[] = [];
  #lastSequence = 0;
  #mayCut = true;
  #isOver = false;

  constructor(ports: readonly number[], channels: readonly string[], random: Random) {
    this.#ports = ports;
    this.#channels = channels;
    this.#random = random;
  }

  /** Whether it is there, and has received this message last. */
  hasReceived(sequence: number): boolean {
    return this.#isConfirmed && this.#lastSequence === sequence;
  }

  get #isConfirmed(): boolean {
    return this.#confirmed === this.#channels.length;
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
      await delay(this.#mayCut ? this.#between(ABSENCE_MS) : BACKOFF_MS);
    }
  }

  /** One connection, from the handshake to its end. */
  async #connect(port: number): Promise<void> {
    this.connections += 1;
    this.#confirmed = 0;
    this.#gaps = [];
    const wire = new WireClient(port, { idleTimeoutMs: IDLE_TIMEOUT_MS });
    this.#wire = wire;
    let isCut = false;
    const cut = () => {
      isCut = true;
      wire.socket.destroy();
    };
    let framesLeft =
      this.#random.fraction() < EARLY_CUTS
        ? this.#random.below(EARLY_FRAMES)
        : Number.POSITIVE_INFINITY;
    wire.onFrame = ({ opcode, payload }) => {
      // What arrived with the frame at which it is cut has been lost on its way.
      if (isCut) return;
      if (this.#mayCut && framesLeft <= 0) cut();
      else if (opcode === TEXT) this.#receive(JSON.parse(payload.toString()));
      framesLeft -= 1;
    };
    const life = setTimeout(() => this.#mayCut && cut(), this.#between(LIFE_MS));
    wire.send(HANDSHAKE);
    const ping = setInterval(() => {
      if (this.#confirmed > 0 && wire.socket.writable) wire.send(PING_MESSAGE);
    }, PING_INTERVAL_MS);
    if (await wire.upgraded()) {
      const data = sign({ channels: this.#channels });
      const since = this.#position;
      wire.send(clientFrame(JSON.stringify({ event: 'authenticate', data, since })));
    }
    await wire.disconnected;
    clearTimeout(life);
    clearInterval(ping);
    if (wire.fault !== undefined) this.faults.push(wire.fault);
  }

  #receive(frame: Frame): void {
    if (frame.event === 'subscribed') this.#confirm(JSON.parse(String(frame.data)));
    else if (frame.event === 'message') this.#receiveMessage(frame);
    else if (frame.event === 'pong') this.#receivePong(frame);
    else this.faults.push(`unexpected ${JSON.stringify(frame)}`);
  }

  #confirm(data: {
    readonly channel: string;
    readonly recovered?: boolean;
    readonly missed?: number;
    readonly position?: string;
  }): void {
    const { channel, recovered, missed, position } = data;
    if (channel !== this.#channels[this.#confirmed]) this.faults.push(`confirmed ${channel}`);
    this.#confirmed += 1;
    const isFirst = this.#position === null;
    if (isFirst !== (recovered === undefined)) this.faults.push(JSON.stringify(data));
    if (recovered === false) {
      this.events.push({ kind: 'gap', channel, at: Date.now() });
      this.#gaps.push(channel);
    }
    this.replayed += missed ?? 0;
    if (!this.#isConfirmed) return;
    if (position === undefined) {
      this.faults.push('the last confirmation has no position');
      return;
    }
    // Its own position follows when there is a replay: of the channels with a gap nothing is known then.
    if (position !== this.#position) {
      const joined = { kind: 'joined', number: numberOf(position), at: Date.now() } as const;
      const channels = isFirst ? this.#channels : this.#gaps;
      for (const each of channels) this.events.push({ ...joined, channel: each });
    }
    this.#position = position;
  }

  #receiveMessage({ channel = '', position = '', data }: Frame): void {
    const { sequence } = data as { sequence: number };
    if (!this.#isConfirmed) this.faults.push(`${sequence} came before the confirmation`);
    this.#lastSequence = sequence;
    const epoch = position.slice(0, position.indexOf('.'));
    this.events.push({ kind: 'message', channel, sequence, epoch, number: numberOf(position) });
    this.#position = position;
  }

  #receivePong({ data }: Frame): void {
    if (data === undefined) return;
    const { position } = JSON.parse(String(data));
    const isOfEpoch = position.slice(0, 8) === this.#position?.slice(0, 8);
    if (isOfEpoch && numberOf(position) < numberOf(this.#position ?? '')) {
      this.faults.push(`the pong ${position} is behind ${this.#position}`);
    }
    this.#position = position;
  }

  #between([min, max]: readonly [number, number]): number {
    return min + this.#random.fraction() * (max - min);
  }
}

function numberOf(position: string): number {
  return Number(position.slice(position.indexOf('.') + 1));
}
